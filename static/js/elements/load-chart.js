// <load-chart src uplot label>: lines over time from {times, series: [{label, unit, values}], sentence}.
// It is an image with a text alternative that names the newest, lowest and highest value of each line.

const EVERY_MS = 30000;
const COLOURS = ["--stw-cpu", "--stw-quiet"];

class LoadChart extends HTMLElement {
  #chart = null;
  #clock = null;
  #watcher = null;
  #data = null;

  connectedCallback() {
    this.setAttribute("role", "img");
    this.#clock = setInterval(() => document.hidden || this.#read(), EVERY_MS);
    this.#watcher = new ResizeObserver(() => this.#chart?.setSize({ width: this.clientWidth, height: 180 }));
    this.#watcher.observe(this);
    document.addEventListener("stowage:theme", this.#redraw);
    this.#read();
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#watcher.disconnect();
    document.removeEventListener("stowage:theme", this.#redraw);
    this.#chart?.destroy();
    this.#chart = null;
  }

  async #read() {
    try {
      const answer = await fetch(this.getAttribute("src"), { credentials: "same-origin" });
      const data = await answer.json();
      if (!answer.ok) this.#say(data.message ?? "The figures cannot be read now.");
      else if (!data.times.length) this.#say(data.sentence || "No figures yet. They appear a few seconds after the first sample.");
      else await this.#draw(data);
    } catch {
      this.#say("The figures cannot be read now.");
    }
  }

  #say(sentence) {
    this.#chart?.destroy();
    this.#chart = null;
    const note = document.createElement("p");
    note.className = "chart-note";
    note.textContent = sentence;
    this.replaceChildren(note);
    this.setAttribute("aria-label", `${this.getAttribute("label")}: ${sentence}`);
  }

  #redraw = () => {
    this.#chart?.destroy();
    this.#chart = null;
    if (this.#data) this.#draw(this.#data);
  };

  async #draw(data) {
    this.#data = data;
    this.setAttribute("aria-label", `${this.getAttribute("label")}. ${data.series.map(inWords).join(" ")}`);
    const values = [data.times, ...data.series.map((line) => line.values)];
    if (this.#chart) {
      this.#chart.setData(values);
      return;
    }
    const { default: UPlot } = await import(this.getAttribute("uplot"));
    if (!this.isConnected) return;
    this.replaceChildren();
    this.#chart = new UPlot(this.#options(data), values, this);
  }

  #options(data) {
    const style = getComputedStyle(this);
    const colour = (name) => style.getPropertyValue(name).trim();
    const axis = { stroke: colour("--stw-quiet"), grid: { stroke: colour("--stw-track"), width: 1 }, ticks: { show: false } };
    const unit = data.series[0].unit;
    return {
      width: this.clientWidth || 600,
      height: 180,
      legend: { live: true },
      cursor: { points: { size: 6 } },
      scales: { y: { range: (_, low, high) => [0, unit === "%" ? 100 : Math.max(high * 1.1, 0.1)] } },
      axes: [{ ...axis, values: (_, times) => times.map(clock) }, { ...axis, size: 68, values: (_, ticks) => ticks.map((tick) => `${tick} ${unit}`) }],
      series: [
        { value: (_, time) => (time == null ? "–" : clock(time)) },
        ...data.series.map((line, index) => ({
          label: line.label,
          // the second line of two is what there is: a limit, not a load
          stroke: colour(COLOURS[index % COLOURS.length]),
          dash: index ? [4, 4] : undefined,
          width: index ? 1.5 : 2,
          points: { show: false },
          value: (_, value) => (value == null ? "–" : `${value.toFixed(1)} ${line.unit}`),
        })),
      ],
    };
  }
}

function clock(time) {
  const at = new Date(time * 1000);
  return `${String(at.getHours()).padStart(2, "0")}:${String(at.getMinutes()).padStart(2, "0")}`;
}

function inWords({ label, unit, values }) {
  const known = values.filter((value) => value !== null);
  if (!known.length) return `${label}: nothing known.`;
  const round = (value) => `${value.toFixed(1)} ${unit}`;
  return `${label}: now ${round(known.at(-1))}, lowest ${round(Math.min(...known))}, highest ${round(Math.max(...known))}.`;
}

customElements.define("load-chart", LoadChart);
