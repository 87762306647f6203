// <live-notes source="host:ID" field="stale">: sentences of the samples, in its .sentences; hidden while there are none.
import { live } from "../lib/live.js";

class LiveNotes extends HTMLElement {
  #source = null;

  connectedCallback() {
    this.#source = this.getAttribute("source");
    live.watch(this.#source);
    live.addEventListener("sample", this.#onSample);
    live.start();
  }

  disconnectedCallback() {
    live.unwatch(this.#source);
    live.removeEventListener("sample", this.#onSample);
  }

  #onSample = ({ detail: { source, values } }) => {
    const sentences = values[this.getAttribute("field")];
    if (source !== this.#source || !Array.isArray(sentences)) return;
    const text = sentences.join(" ");
    const place = this.querySelector(".sentences");
    if (place.textContent !== text) place.textContent = text; // said once to a screen reader, not each second
    this.hidden = !text;
  };
}

customElements.define("live-notes", LiveNotes);
