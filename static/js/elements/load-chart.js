// <load-chart src uplot label shared hide-empty>: lines over time, which move on with the samples while the range
// ends now. Drag to zoom, Shift and drag to move along, double click to go back; arrows, + and - by keyboard.
// With `shared` it shows the page's range and points where the other charts point. Buttons [data-export=csv|png] of
// its section take it away. It is an image with a text alternative: newest, lowest and highest value of each line.
import { ChartData } from "../lib/chart-data.js";
import { optionsOf } from "../lib/chart-options.js";
import { savePng } from "../lib/chart-png.js";
import { live } from "../lib/live.js";
import { Range, pageRange } from "../lib/range.js";
import { inUnit } from "../lib/units.js";

const READ_EVERY_MS = 60000;
const KEYS = {
  ArrowLeft: (range) => range.pan(-0.25),
  ArrowRight: (range) => range.pan(0.25),
  "+": (range) => range.zoom(0.5),
  "=": (range) => range.zoom(0.5),
  "-": (range) => range.zoom(2),
  Backspace: (range) => range.back(),
  Home: (range) => range.last(range.span),
};

class LoadChart extends HTMLElement {
  #chart = null;
  #data = null;
  #range = null;
  #reading = null;
  #clock = null;
  #sizes = null;
  #watched = new Set();
  #hasShown = false;

  connectedCallback() {
    this.#range = this.hasAttribute("shared") ? pageRange : new Range();
    this.setAttribute("role", "img");
    this.tabIndex = 0;
    this.setAttribute("aria-keyshortcuts", "ArrowLeft ArrowRight + - Home Backspace");
    this.#clock = setInterval(() => this.#range.isLive && !document.hidden && this.#read(), READ_EVERY_MS);
    this.#sizes = new ResizeObserver(() => this.clientWidth && this.#chart?.setSize({ width: this.clientWidth, height: this.#chart.height }));
    this.#sizes.observe(this);
    this.#range.addEventListener("change", this.#read);
    document.addEventListener("stowage:theme", this.#redraw);
    live.addEventListener("sample", this.#onSample);
    live.start();
    this.addEventListener("keydown", this.#onKey);
    this.closest("section")?.addEventListener("click", this.#onExport);
    this.#read();
  }

  disconnectedCallback() {
    clearInterval(this.#clock);
    this.#sizes.disconnect();
    this.#reading?.abort();
    this.#range.removeEventListener("change", this.#read);
    document.removeEventListener("stowage:theme", this.#redraw);
    live.removeEventListener("sample", this.#onSample);
    this.#watch(new Set());
    this.#chart?.destroy();
    this.#chart = null;
  }

  #address(ending = "") {
    const address = new URL(this.getAttribute("src"), location.href);
    address.pathname += ending;
    const [start, end] = this.#range.bounds;
    address.searchParams.set("start", start.toFixed(1));
    address.searchParams.set("end", end.toFixed(1));
    address.searchParams.set("pixels", String(Math.min(4000, Math.max(100, this.clientWidth || 600))));
    return address;
  }

  #read = async () => {
    this.#reading?.abort();
    this.#reading = new AbortController();
    try {
      const answer = await fetch(this.#address(), { credentials: "same-origin", signal: this.#reading.signal });
      const data = await answer.json();
      if (!answer.ok) this.#say(data.message ?? "The figures cannot be read now.");
      else if (!data.series.length) this.#say(data.sentence || "Nothing was recorded in this time.", !data.sentence);
      else await this.#show(data);
    } catch (error) {
      if (error.name !== "AbortError") this.#say("The figures cannot be read now.");
    }
  };

  async #show(data) {
    const { default: UPlot } = await import(this.getAttribute("uplot"));
    if (!this.isConnected) return;
    this.#hide(false);
    const before = this.#data?.lines.map((line) => line.label + line.low.length + line.p95.length).join();
    this.#data = new ChartData(data);
    this.#watch(this.#range.isLive ? this.#data.sources : new Set());
    const isAlike = before === this.#data.lines.map((line) => line.label + line.low.length + line.p95.length).join();
    if (this.#chart && isAlike) this.#chart.setData(this.#data.columns);
    else {
      this.#chart?.destroy();
      this.replaceChildren();
      this.#chart = new UPlot(optionsOf(this.#data.lines, this, this.#mouse()), this.#data.columns, this);
    }
    this.#name();
  }

  #mouse() {
    return {
      bounds: () => this.#range.bounds,
      select: (start, end) => this.#range.between(start, end),
      sync: this.hasAttribute("shared") ? "page" : "",
      bind: {
        mousedown: (_, _target, handle) => (event) => (event.shiftKey ? this.#pan(event) : handle(event)),
        dblclick: () => () => this.#range.back(),
      },
    };
  }

  #pan(down) {
    const chart = this.#chart;
    const moved = (event) => (down.clientX - event.clientX) / chart.over.clientWidth;
    this.classList.add("is-panned");
    const end = (event) => {
      this.classList.remove("is-panned");
      if (Math.abs(moved(event)) > 0.005) this.#range.pan(moved(event));
    };
    document.addEventListener("mouseup", end, { once: true });
  }

  #onSample = ({ detail: { source, values } }) => {
    if (!this.#range.isLive || !this.#chart || !this.#data?.append(source, values)) return;
    this.#data.trim(this.#range.bounds[0]);
    this.#chart.setData(this.#data.columns);
    this.#name();
  };

  #onKey = (event) => {
    const act = KEYS[event.key];
    if (!act || event.ctrlKey || event.altKey || event.metaKey) return;
    event.preventDefault();
    act(this.#range);
  };

  #onExport = (event) => {
    const kind = event.target.closest("[data-export]")?.dataset.export;
    if (kind === "csv") location.assign(this.#address("/csv"));
    if (kind === "png" && this.#chart) savePng(this.#chart, this.getAttribute("label"), this.#data.lines, this.#range.bounds);
  };

  #redraw = () => {
    if (!this.#chart) return;
    const { times, lines, step } = this.#data;
    this.#chart.destroy();
    this.#chart = null;
    this.#data = null;
    this.#show({ times, series: lines, step_s: step });
  };

  #watch(sources) {
    for (const source of sources) if (!this.#watched.has(source)) live.watch(source);
    for (const source of this.#watched) if (!sources.has(source)) live.unwatch(source);
    this.#watched = new Set(sources);
  }

  #say(sentence, isEmpty = false) {
    this.#chart?.destroy();
    this.#chart = this.#data = null;
    const note = document.createElement("p");
    note.className = "chart-note";
    note.textContent = sentence;
    note.addEventListener("dblclick", () => this.#range.back());
    this.replaceChildren(note);
    this.setAttribute("aria-label", `${this.getAttribute("label")}: ${sentence}`);
    this.#hide(isEmpty);
  }

  #hide(isEmpty) {
    const section = this.closest("section");
    // one that was there stays: a chart that vanishes by zooming cannot be zoomed out of
    this.#hasShown ||= !isEmpty;
    if (section && this.hasAttribute("hide-empty")) section.hidden = isEmpty && !this.#hasShown;
  }

  #name() {
    this.setAttribute("aria-label", `${this.getAttribute("label")}. ${this.#data.lines.map(inWords).join(" ")}`);
  }
}

function inWords({ label, unit, values }) {
  const known = values.filter((value) => value != null);
  if (!known.length) return `${label}: nothing known.`;
  const least = known.reduce((one, other) => Math.min(one, other));
  const most = known.reduce((one, other) => Math.max(one, other));
  return `${label}: last ${inUnit(known.at(-1), unit)}, lowest ${inUnit(least, unit)}, highest ${inUnit(most, unit)}.`;
}

customElements.define("load-chart", LoadChart);
