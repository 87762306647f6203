// <live-region src topics="host workload:ID" every="30">: fetches its server-rendered content again when one of
// its topics changed, after a reconnect, and every so many seconds; changes the page by the fewest changes.
import { live } from "../lib/live.js";
import { morph } from "../lib/morph.js";

const GATHER_MS = 150;
const REST_MS = 900; // between two reads of a busy page

class LiveRegion extends HTMLElement {
  #timer = null;
  #clock = null;
  #lastRead = 0;
  #isReading = false;
  #isStale = false;
  #wasRung = false; // while a read was under way, which may have missed the change

  connectedCallback() {
    live.addEventListener("change", this.#onChange);
    live.addEventListener("again", this.#onAgain);
    document.addEventListener("visibilitychange", this.#onVisible);
    this.addEventListener("close", this.#onVisible, true);
    this.addEventListener("focusout", this.#onVisible);
    const every = Number(this.getAttribute("every") ?? 30);
    this.#clock = setInterval(() => this.#readSoon(), every * 1000 * (0.9 + Math.random() * 0.2));
    live.start();
  }

  disconnectedCallback() {
    live.removeEventListener("change", this.#onChange);
    live.removeEventListener("again", this.#onAgain);
    document.removeEventListener("visibilitychange", this.#onVisible);
    clearInterval(this.#clock);
    clearTimeout(this.#timer);
  }

  #onChange = ({ detail: { kind, id } }) => {
    const topics = (this.getAttribute("topics") ?? "").split(" ");
    if (topics.includes(kind) || topics.includes(`${kind}:${id}`)) this.#readSoon();
  };

  #onAgain = () => this.#readSoon();

  #onVisible = () => {
    if (this.#isStale) this.#readSoon();
  };

  #readSoon() {
    if (this.#timer) return;
    const rest = Math.max(0, this.#lastRead + REST_MS - Date.now());
    this.#timer = setTimeout(() => this.#read(), rest + GATHER_MS + Math.random() * GATHER_MS);
  }

  get #isBusy() {
    // never under an open dialog or in the middle of somebody's typing
    const active = this.contains(document.activeElement) ? document.activeElement : null;
    return document.hidden || this.querySelector("dialog[open], details.menu[open]") ||
      active?.matches("input:not([type=checkbox]):not([type=radio]), textarea, select");
  }

  async #read() {
    this.#timer = null;
    this.#isStale = true;
    if (this.#isReading) this.#wasRung = true;
    if (this.#isBusy || this.#isReading) return;
    this.#isReading = true;
    try {
      const answer = await fetch(this.getAttribute("src") || location.href, {
        headers: { "X-Region": this.id },
        credentials: "same-origin",
      });
      if (answer.redirected && new URL(answer.url).pathname.startsWith("/login")) location.reload();
      else if (answer.ok && !this.#isBusy) this.#show(await answer.text());
      else if (answer.status === 404) this.dispatchEvent(new CustomEvent("gone", { bubbles: true }));
    } catch {
      // not reachable just now; the connection indicator says so, and the reconnect reads again
    } finally {
      this.#isReading = false;
      this.#lastRead = Date.now();
      if (this.#wasRung) this.#readSoon();
      this.#wasRung = false;
    }
  }

  #show(html) {
    this.#isStale = false;
    const page = new DOMParser().parseFromString(html, "text/html");
    morph(this, page.body);
    window.htmx?.process(this);
    this.dispatchEvent(new CustomEvent("shown", { bubbles: true }));
  }
}

customElements.define("live-region", LiveRegion);
