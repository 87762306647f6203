// How a chart is drawn by uPlot: axes in the operator's units, lines in our colours, a band from lowest to highest.
import { columnsOf } from "./chart-data.js";
import { inUnit, isBinary } from "./units.js";

const COLOURS = ["--stw-cpu", "--stw-memory", "--stw-paused", "--stw-moving", "--stw-running", "--stw-unknown", "--stw-alarm"];
const BINARY_STEPS = Array.from({ length: 60 }, (_, power) => 2 ** power);
const BAND = "2b"; // alpha, behind #rrggbb
const HEIGHT = 190;
const MINUTE = 60;
const DAY = 86400;

/** Options for the lines. `on`: bounds() of x, select(start, end), and bind for the mouse. */
export function optionsOf(lines, element, on) {
  const style = getComputedStyle(element);
  const token = (name) => style.getPropertyValue(name).trim();
  const unit = lines[0]?.unit ?? "";
  const axis = { stroke: token("--stw-quiet"), grid: { stroke: token("--stw-track"), width: 1 }, ticks: { show: false } };
  const { series, bands } = drawn(lines, token);
  return {
    width: element.clientWidth || 600,
    height: HEIGHT,
    padding: [8, 8, 0, 0],
    legend: { live: true },
    cursor: {
      points: { size: 6 },
      drag: { x: true, y: false, setScale: false },
      bind: on.bind,
      ...(on.sync && { sync: { key: on.sync, setSeries: false, filters: { pub: (type) => /move|leave/.test(type) } } }),
    },
    hooks: { setSelect: [(chart) => selected(chart, on.select)] },
    scales: {
      x: { range: () => on.bounds() },
      y: { range: (_, low, high) => [Math.min(0, low ?? 0), high > 0 ? high * 1.08 : 1] },
    },
    axes: [
      { ...axis, size: 32, values: (_, times, _axis, _space, step) => times.map((at, index) => tick(at, step, times[index - 1])) },
      { ...axis, size: 68, values: (_, ticks) => ticks.map((value) => inUnit(value, unit)), ...(isBinary(unit) && { incrs: BINARY_STEPS }) },
    ],
    series: [{ value: (_, at) => (at == null ? "–" : moment(at)) }, ...series],
    bands,
  };
}

function drawn(lines, token) {
  const series = [];
  const bands = [];
  const loads = lines.filter((line) => !line.is_limit);
  lines.forEach((line) => {
    const colour = token(line.is_limit ? "--stw-quiet" : COLOURS[loads.indexOf(line) % COLOURS.length]);
    const place = {};
    for (const name of columnsOf(line)) {
      place[name] = series.length + 1;
      series.push(name === "values" ? mainOf(line, colour) : extraOf(name, colour, loads.length === 1));
    }
    // several bands over one another say nothing; their figures stand in the legend
    if (place.low && place.high && loads.length === 1) bands.push({ series: [place.high, place.low], fill: colour + BAND });
  });
  return { series, bands };
}

function mainOf(line, colour) {
  return {
    label: line.label,
    stroke: colour,
    dash: line.is_limit ? [4, 4] : undefined,
    width: line.is_limit ? 1.5 : 2,
    points: { show: false },
    value: (_, value, _index, at) => (value == null ? "–" : said(line, value, at)),
  };
}

function extraOf(name, colour, isAlone) {
  const isSeen = name === "p95" && isAlone;
  // what is not drawn must not stretch the axis
  return { class: "chart-extra", auto: isAlone, stroke: isSeen ? colour : "transparent", dash: [2, 3], width: 1, points: { show: false } };
}

function said(line, value, index) {
  const main = inUnit(value, line.unit);
  const more = [
    line.low[index] != null && line.high[index] != null && `${inUnit(line.low[index], line.unit)} to ${inUnit(line.high[index], line.unit)}`,
    line.p95[index] != null && `p95 ${inUnit(line.p95[index], line.unit)}`,
    line.low[index] == null && line.high[index] != null && `highest ${inUnit(line.high[index], line.unit)}`,
  ].filter(Boolean);
  return more.length ? `${main} (${more.join(", ")})` : main;
}

function selected(chart, select) {
  const { left, width } = chart.select;
  if (width < 5) return;
  const [start, end] = [chart.posToVal(left, "x"), chart.posToVal(left + width, "x")];
  chart.setSelect({ left: 0, top: 0, width: 0, height: 0 }, false);
  select(start, end);
}

const two = (number) => String(number).padStart(2, "0");
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

function tick(time, step, before) {
  const at = new Date(time * 1000);
  const day = `${at.getDate()} ${MONTHS[at.getMonth()]}`;
  if (step >= 28 * DAY) return `${MONTHS[at.getMonth()]} ${at.getFullYear()}`;
  if (step >= DAY) return day;
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}`;
  const isNewDay = before !== undefined && new Date(before * 1000).getDate() !== at.getDate();
  if (isNewDay) return `${clock}\n${day}`;
  return step < MINUTE ? `${clock}:${two(at.getSeconds())}` : clock;
}

export function moment(time) {
  const at = new Date(time * 1000);
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day} ${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
}
