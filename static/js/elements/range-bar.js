// <range-bar>: the buttons for the page's range: [data-span] seconds up to now, [data-pan] by a share of the range,
// [data-zoom] by a factor, [data-back]. Says the range in words where [data-said] stands. Links and forms beside it
// keep the range.
import { moment } from "../lib/chart-options.js";
import { addressWith, pageRange } from "../lib/range.js";

class RangeBar extends HTMLElement {
  #clock = null;

  connectedCallback() {
    this.addEventListener("click", this.#onClick);
    this.parentElement.addEventListener("click", this.#keepInLink);
    this.parentElement.addEventListener("formdata", this.#keepInForm);
    pageRange.addEventListener("change", this.#say);
    this.#clock = setInterval(() => this.#say(), 60000);
    this.#say();
  }

  disconnectedCallback() {
    this.removeEventListener("click", this.#onClick);
    this.parentElement?.removeEventListener("click", this.#keepInLink);
    this.parentElement?.removeEventListener("formdata", this.#keepInForm);
    pageRange.removeEventListener("change", this.#say);
    clearInterval(this.#clock);
  }

  #onClick = (event) => {
    const { span, pan, zoom, back } = event.target.closest("button")?.dataset ?? {};
    if (span) pageRange.last(Number(span));
    else if (pan) pageRange.pan(Number(pan));
    else if (zoom) pageRange.zoom(Number(zoom));
    else if (back !== undefined) pageRange.back();
  };

  #keepInLink = (event) => {
    const link = event.target.closest("a[href]");
    if (link) link.href = addressWith(pageRange, new URL(link.href));
  };

  #keepInForm = (event) => {
    const kept = addressWith(pageRange, new URL("/", location.href)).searchParams;
    for (const [name, value] of kept) event.formData.append(name, value);
  };

  #say = () => {
    for (const button of this.querySelectorAll("[data-span]")) {
      button.setAttribute("aria-pressed", String(pageRange.isLive && Number(button.dataset.span) === pageRange.span));
    }
    const later = this.querySelector('[data-pan^="0"]');
    if (later) later.disabled = pageRange.isLive;
    const [start, end] = pageRange.bounds.map((at) => moment(at).slice(0, 16));
    const said = this.querySelector("[data-said]");
    if (said) said.textContent = pageRange.isLive ? `${start} to now, moving` : `${start} to ${end}`;
  };
}

customElements.define("range-bar", RangeBar);
