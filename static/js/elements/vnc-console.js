// <vnc-console kind="vnc" thing="UUID" novnc [view-only]>: a guest's screen. What the guest calls itself is not shown,
// and what it copies stays in a field until somebody takes it from there.
import { ConsoleFrame, copied } from "../lib/console-frame.js";
import { ConsoleStream } from "../lib/console-stream.js";
import { KEYSYMS, strokeOf } from "../lib/keysyms.js";

const CLIPBOARD_MOST = 64 * 1024;
const TYPED_MOST = 2000;
const COUNT_MS = 10000;
const STROKE_MS = 20; // a PS/2 keyboard keeps 16 bytes; a slow guest loses what comes faster

class VncConsole extends ConsoleFrame {
  #RFB = null;
  #rfb = null;
  #stream = null;
  #isFitted = true;
  #counting = null;
  #isWatching = this.hasAttribute("view-only");

  async prepare(channel) {
    ({ default: this.#RFB } = await import(this.getAttribute("novnc")));
    channel.addEventListener("opened", () => this.#begin());
    channel.addEventListener("moved", () => this.#begin());
    channel.addEventListener("bytes", ({ detail }) => this.#stream?.take(detail));
    channel.addEventListener("state", ({ detail: { state } }) => state === "open" || this.#end());
    Object.assign(this.acts, {
      copy: () => this.#copy(),
      fit: (button) => this.#setFit(button),
      keys: (button) => this.#press(button.dataset.keys.split(" ")),
      paste: () => this.#paste(),
      picture: () => this.#picture(),
      type: () => this.#type(),
      watch: (button) => this.#setWatching(button),
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    clearTimeout(this.#counting);
    this.#end();
  }

  screenFocus() {
    this.#rfb?.focus();
  }

  left() {
    // their release goes to the page: the guest would hold them down for ever
    for (const code of ["ControlLeft", "ControlRight", "AltLeft", "AltRight"]) this.#rfb?.sendKey(KEYSYMS[code], code, false);
  }

  #begin() {
    const hadFocus = this.parts.screen.contains(document.activeElement);
    this.#end();
    const stream = (this.#stream = new ConsoleStream((bytes) => this.channel.send(bytes)));
    const rfb = (this.#rfb = new this.#RFB(this.parts.screen, stream, { shared: true }));
    rfb.scaleViewport = this.#isFitted;
    rfb.viewOnly = this.#isWatching;
    rfb.background = "transparent";
    rfb.addEventListener("connect", () => this.#connected(hadFocus));
    rfb.addEventListener("clipboard", ({ detail }) => this.#copiedByGuest(detail.text));
    rfb.addEventListener("disconnect", () => rfb === this.#rfb && this.channel.fail("The guest's screen could not be read."));
    this.channel.say({ ready: true });
    this.#count();
  }

  // each viewer has a line to the guest of its own, so only the server knows of the others
  async #count() {
    clearTimeout(this.#counting);
    if (this.channel.state !== "open" || this.hasAttribute("view-only")) return;
    const answer = await fetch(`/api/consoles?thing=${this.getAttribute("thing")}`, { credentials: "same-origin" }).catch(() => null);
    const open = answer?.ok ? await answer.json() : [];
    const viewers = open.filter(({ kind }) => kind === "vnc").length;
    if (viewers) this.changed({ viewers });
    this.#counting = setTimeout(() => this.#count(), COUNT_MS);
  }

  #end() {
    const rfb = this.#rfb;
    this.#rfb = this.#stream = null;
    rfb?.disconnect();
  }

  #connected(hadFocus) {
    const canvas = this.parts.screen.querySelector("canvas");
    canvas.tabIndex = 0;
    canvas.setAttribute("role", "application");
    canvas.setAttribute("aria-label", this.getAttribute("label"));
    canvas.setAttribute("aria-describedby", this.parts.hint.id);
    if (hadFocus || document.activeElement === document.body) this.screenFocus();
  }

  #setFit(button) {
    this.#isFitted = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(this.#isFitted));
    if (this.#rfb) this.#rfb.scaleViewport = this.#isFitted;
  }

  #setWatching(button) {
    this.#isWatching = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(this.#isWatching));
    if (this.#rfb) this.#rfb.viewOnly = this.#isWatching;
  }

  #press(codes) {
    for (const code of codes) this.#rfb?.sendKey(KEYSYMS[code], code, true);
    for (const code of codes.reverse()) this.#rfb?.sendKey(KEYSYMS[code], code, false);
    this.screenFocus();
  }

  #copiedByGuest(text) {
    this.parts.clipboard.value = text.slice(0, CLIPBOARD_MOST);
    this.notice("The guest copied something: it is under Clipboard.");
  }

  async #copy() {
    const isCopied = await copied(this.parts.clipboard.value);
    this.notice(isCopied ? "Copied to your clipboard." : "The browser does not allow copying here: select the text and copy it by hand.");
  }

  #paste() {
    this.#rfb?.clipboardPasteFrom(this.parts.clipboard.value);
    this.notice("Handed to the guest's clipboard. A guest without an agent for it takes no notice.");
  }

  async #type() {
    const rfb = this.#rfb;
    for (const character of this.parts.clipboard.value.slice(0, TYPED_MOST)) {
      if (rfb !== this.#rfb) return;
      const { keysym, isShifted } = strokeOf(character);
      if (isShifted) rfb.sendKey(KEYSYMS.ShiftLeft, "ShiftLeft", true);
      rfb.sendKey(keysym, null);
      if (isShifted) rfb.sendKey(KEYSYMS.ShiftLeft, "ShiftLeft", false);
      await new Promise((done) => setTimeout(done, STROKE_MS));
    }
    this.screenFocus();
  }

  #picture() {
    this.#rfb?.toBlob((blob) => {
      const link = document.createElement("a");
      link.href = URL.createObjectURL(blob);
      link.download = `${this.name || "screen"}-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}.png`;
      link.click();
      setTimeout(() => URL.revokeObjectURL(link.href), 1000);
    }, "image/png");
  }
}

customElements.define("vnc-console", VncConsole);
