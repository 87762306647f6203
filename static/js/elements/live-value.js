// <live-value source="host:ID" field="cpu_used_cores" of="4">: a <progress> and a .figure that follow the samples.
// With format="mib|cores|bytesPerSecond" the figure shows the amount, else the percentage of `of`.
import { live } from "../lib/live.js";
import { FORMATS, percent } from "../lib/units.js";

const STALE_MS = 30000;

class LiveValue extends HTMLElement {
  #source = null;
  #stale = null;

  connectedCallback() {
    this.#source = this.getAttribute("source");
    live.watch(this.#source);
    live.addEventListener("sample", this.#onSample);
    live.start();
  }

  disconnectedCallback() {
    live.unwatch(this.#source);
    live.removeEventListener("sample", this.#onSample);
    clearTimeout(this.#stale);
  }

  #onSample = ({ detail: { source, values } }) => {
    const value = values[this.getAttribute("field")];
    if (source !== this.getAttribute("source") || value == null) return;
    const share = percent(value, Number(this.getAttribute("of")));
    const meter = this.querySelector("progress");
    if (meter && share !== null) meter.value = share;
    const figure = this.querySelector(".figure");
    const format = FORMATS[this.getAttribute("format")];
    if (figure) figure.textContent = format ? format(value) : share === null ? "–" : `${Math.round(share)} %`;
    this.removeAttribute("data-live-stale");
    clearTimeout(this.#stale);
    this.#stale = setTimeout(() => this.setAttribute("data-live-stale", ""), STALE_MS);
  };
}

customElements.define("live-value", LiveValue);
