// <live-link>: says whether this page is live or waiting for the server.
import { live } from "../lib/live.js";

class LiveLink extends HTMLElement {
  connectedCallback() {
    live.addEventListener("state", this.#show);
    this.#show();
    live.start();
  }

  disconnectedCallback() {
    live.removeEventListener("state", this.#show);
  }

  #show = () => {
    const words = { live: "Live", waiting: "Not live, reconnecting…" };
    const place = this.querySelector(".link-state");
    place.dataset.state = live.state;
    place.textContent = words[live.state];
  };
}

customElements.define("live-link", LiveLink);
