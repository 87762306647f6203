// What every console has around its screen: the line of state, the buttons, full screen, opening it again, and a key
// that leaves the screen, where all others go to the guest. An element names its parts by data-part and its buttons
// by data-act; a subclass gives `prepare`, `screenFocus` and its own `acts`.
import { ConsoleChannel } from "./console-channel.js";

const ENDS_WITH_ITS_LINE = ["exec", "shell"];
const SHARED = ["vnc", "serial"];
const SENTENCE_MOST = 300;

export class ConsoleFrame extends HTMLElement {
  parts = {};
  channel = null;
  name = "";
  acts = {
    again: () => this.channel.open(),
    full: () => this.#full(),
  };

  async connectedCallback() {
    for (const part of this.querySelectorAll("[data-part]")) this.parts[part.dataset.part] = part;
    const kind = this.getAttribute("kind");
    const asked = { kind, thing: this.getAttribute("thing"), view_only: this.hasAttribute("view-only") };
    this.channel = new ConsoleChannel(asked, { isKept: !ENDS_WITH_ITS_LINE.includes(kind) });
    this.channel.addEventListener("state", ({ detail }) => this.#showState(detail));
    this.channel.addEventListener("opened", ({ detail }) => this.#opened(detail));
    this.channel.addEventListener("change", ({ detail }) => this.changed(detail));
    this.channel.addEventListener("moved", ({ detail }) => this.#moved(detail));
    this.channel.addEventListener("notice", ({ detail }) => this.notice(detail));
    this.addEventListener("click", this.#onClick);
    this.addEventListener("keydown", this.#onKey, { capture: true });
    try {
      await this.prepare(this.channel);
    } catch (error) {
      this.#showState({ state: "closed", sentence: "The console's program could not be loaded. Load the page anew." });
      throw error;
    }
    if (this.isConnected) this.channel.open();
  }

  disconnectedCallback() {
    this.channel?.close();
  }

  // a sentence for whoever looks, from us or from the server
  notice(sentence) {
    this.parts.notice.textContent = String(sentence).slice(0, SENTENCE_MOST);
  }

  changed({ viewers }) {
    if (viewers !== undefined && SHARED.includes(this.getAttribute("kind"))) this.parts.viewers.textContent = viewers === 1 ? "nobody else here" : `${Number(viewers)} people here`;
  }

  // before the focus goes elsewhere by the key for it
  left() {}

  #opened(opened) {
    this.name = String(opened.name);
    this.parts.where.textContent = opened.host ? `on ${opened.host}` : "";
    this.notice("");
    this.changed({ ...opened, writer: opened.is_writer });
    if (document.activeElement === document.body) this.screenFocus();
  }

  #moved({ host }) {
    this.parts.where.textContent = `on ${host}`;
    this.notice(`It moved to ${host}; the console went with it.`);
  }

  #showState({ state, sentence }) {
    this.dataset.state = state;
    this.parts.state.dataset.state = { open: "live", closed: "closed" }[state] ?? "waiting";
    this.parts.state.textContent = { open: "Connected", closed: "Not connected", waiting: "Waiting", opening: "Opening…" }[state];
    if (state !== "open") this.parts.viewers.textContent = this.parts.mode.textContent = "";
    this.parts.over.hidden = state === "open";
    this.parts.sentence.textContent = String(sentence).slice(0, SENTENCE_MOST);
    this.parts.again.hidden = state !== "closed";
  }

  #onClick = ({ target }) => {
    const button = target.closest("[data-act]");
    if (button && button.getAttribute("aria-disabled") !== "true") this.acts[button.dataset.act]?.(button);
  };

  #onKey = (event) => {
    // AltGr is Ctrl+Alt on some systems, and writes characters
    if (event.code !== "KeyG" || !event.ctrlKey || !event.altKey || event.getModifierState("AltGraph")) return;
    event.preventDefault();
    event.stopPropagation();
    if (!this.parts.screen.contains(document.activeElement)) {
      this.screenFocus();
      return;
    }
    this.left();
    this.querySelector("[role=toolbar] :is(button, summary, input):not([hidden])").focus();
  };

  async #full() {
    if (document.fullscreenElement) await document.exitFullscreen();
    else {
      await this.requestFullscreen().catch(() => this.notice("The browser does not allow full screen here."));
      // Escape and Alt+Tab are the guest's then, and Escape held down leaves; where the browser has it, by HTTPS only
      await navigator.keyboard?.lock?.().catch(() => {});
    }
    this.screenFocus();
  }
}

export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false; // no clipboard without HTTPS or permission
  }
}
