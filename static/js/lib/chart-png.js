// A chart as a picture to take away: what is seen, with its title, its lines and its range, on the page's ground.
import { moment } from "./chart-options.js";

export function savePng(chart, title, lines, bounds) {
  const drawn = chart.ctx.canvas;
  const scale = drawn.width / chart.width;
  const style = getComputedStyle(chart.root.closest(".card") ?? document.body);
  const [head, foot] = [34 * scale, 30 * scale];
  const canvas = document.createElement("canvas");
  canvas.width = drawn.width;
  canvas.height = drawn.height + head + foot;
  const ink = canvas.getContext("2d");
  ink.fillStyle = style.backgroundColor;
  ink.fillRect(0, 0, canvas.width, canvas.height);
  ink.drawImage(drawn, 0, head);
  ink.fillStyle = style.color;
  ink.font = `600 ${14 * scale}px sans-serif`;
  ink.fillText(title, 12 * scale, 22 * scale, canvas.width - 24 * scale);
  ink.font = `${11 * scale}px sans-serif`;
  const said = `${lines.map((line) => line.label).join(", ")}. ${bounds.map(moment).join(" to ")}`;
  ink.fillText(said, 12 * scale, canvas.height - 12 * scale, canvas.width - 24 * scale);
  canvas.toBlob((blob) => offer(blob, `${title}.png`));
}

function offer(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name.replace(/[^\w.-]+/g, "-");
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}
