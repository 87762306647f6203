// <text-console kind="serial|exec|attach|log|top|diff|shell" thing="UUID" xterm fit search [view-only]>: a terminal.
// What it shows is a guest's: nothing in it may set the title, the clipboard, a link or a colour of the whole, and
// what the terminal answers to questions in replayed output is not sent.
import "../lib/adopted-styles.js";
import { ConsoleFrame, copied } from "../lib/console-frame.js";

const SCROLLBACK_LINES = 5000;
const PENDING_MOST = 4 * 1024 * 1024; // bytes not yet drawn; what a flood brings beyond is left out
const REPLAY_MS = 1000;
const FONT = 'ui-monospace, "Cascadia Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace';
// title, colours and their reports, links, clipboard (XTerm Control Sequences, "Operating System Commands")
const IGNORED_COMMANDS = [0, 1, 2, 4, 8, 10, 11, 12, 52, 104, 110, 111, 112];
const THEME = { background: "#0d1519", foreground: "#dfe7ea", cursor: "#4db7c4", cursorAccent: "#0d1519", selectionBackground: "#2f6f7c" };

class TextConsole extends ConsoleFrame {
  #terminal = null;
  #fit = null;
  #search = null;
  #watcher = null;
  #isWriter = false;
  #isWritten = false; // whether somebody writes
  #isReplaying = false;
  #replayTimer = null;
  #pending = 0;
  #leftOut = 0;
  #textEncoder = new TextEncoder();

  async prepare(channel) {
    const modules = await Promise.all(["xterm", "fit", "search"].map((name) => import(this.getAttribute(name))));
    const [{ Terminal }, { FitAddon }, { SearchAddon }] = modules;
    Terminal.strings.promptLabel = this.getAttribute("label");
    this.#terminal = new Terminal({
      allowProposedApi: false,
      disableStdin: true,
      fontFamily: FONT,
      fontSize: 14,
      linkHandler: { activate: () => {} },
      minimumContrastRatio: 4.5,
      scrollback: SCROLLBACK_LINES,
      theme: THEME,
    });
    for (const command of IGNORED_COMMANDS) this.#terminal.parser.registerOscHandler(command, () => true);
    this.#terminal.loadAddon((this.#fit = new FitAddon()));
    this.#terminal.loadAddon((this.#search = new SearchAddon()));
    this.#terminal.open(this.parts.screen);
    this.#terminal.textarea.setAttribute("aria-describedby", this.parts.hint.id);
    this.#terminal.onData((text) => channel.send(this.#textEncoder.encode(text)));
    this.#terminal.onBinary((text) => channel.send(Uint8Array.from(text, (one) => one.charCodeAt(0))));
    this.#terminal.onResize(() => this.#tellSize());
    this.#terminal.attachCustomKeyEventHandler((event) => this.#isForTerminal(event));
    channel.addEventListener("opened", ({ detail }) => this.#begin(detail));
    channel.addEventListener("moved", () => this.#expectReplay());
    channel.addEventListener("bytes", ({ detail }) => this.#show(detail));
    this.#watcher = new ResizeObserver(() => requestAnimationFrame(() => this.#terminal && this.#fit.fit()));
    this.#watcher.observe(this.parts.screen);
    this.parts.find.addEventListener("keydown", this.#onFind);
    Object.assign(this.acts, {
      copy: () => this.#copy(),
      download: () => this.#download(),
      hand: () => channel.say({ write: false }),
      log: (button) => this.#log(button),
      read: (button) => this.#readOut(button),
      take: () => channel.say({ write: this.#isWritten ? "take" : true }),
    });
    this.parts.command?.addEventListener("submit", this.#onCommand);
    this.parts.since?.addEventListener("change", ({ target }) => {
      this.channel.open({ command: target.value ? [target.value] : undefined });
    });
  }

  disconnectedCallback() {
    super.disconnectedCallback();
    this.#watcher?.disconnect();
    clearTimeout(this.#replayTimer);
    this.#terminal?.dispose();
    this.#terminal = null;
  }

  screenFocus() {
    this.#terminal?.focus();
  }

  changed(change) {
    super.changed(change);
    if (change.writer === undefined) return;
    this.#isWriter = change.writer && !this.hasAttribute("view-only");
    this.#setInput();
    if (this.getAttribute("kind") === "serial") this.#showWriter(change.writer_name);
  }

  #showWriter(name) {
    this.#isWritten = Boolean(name);
    this.parts.mode.textContent = this.#isWriter ? "you write" : `you watch, ${name ? `${name} writes` : "nobody writes"}`;
    if (!this.parts.take) return;
    this.parts.take.hidden = this.#isWriter;
    this.parts.take.textContent = this.#isWritten ? "Take over" : "Write";
    this.parts.hand.hidden = !this.#isWriter;
  }

  #begin({ kind }) {
    if (kind !== "attach") this.#terminal.reset(); // the replay, or a new shell, begins from nothing
    if (kind === "serial") this.#expectReplay();
    this.querySelector("[data-act=log]")?.setAttribute("aria-pressed", "false");
    this.#fit.fit();
    this.#tellSize();
  }

  #expectReplay() {
    this.#isReplaying = true;
    clearTimeout(this.#replayTimer);
    this.#replayTimer = setTimeout(() => this.#replayed(), REPLAY_MS);
    this.#setInput();
  }

  #replayed() {
    this.#isReplaying = false;
    this.#setInput();
  }

  #setInput() {
    // a terminal without input answers nothing either: replayed questions were answered long ago
    this.#terminal.options.disableStdin = !this.#isWriter || this.#isReplaying;
  }

  #show(data) {
    if (this.#pending > PENDING_MOST) {
      this.#leftOut += data.byteLength;
      return;
    }
    this.#pending += data.byteLength;
    this.#terminal.write(new Uint8Array(data), () => {
      this.#pending -= data.byteLength;
      if (this.#isReplaying) this.#replayed();
      if (this.#leftOut && !this.#pending) this.#sayLeftOut();
    });
  }

  #sayLeftOut() {
    const mib = Math.ceil(this.#leftOut / 2 ** 20);
    this.#leftOut = 0;
    this.notice(`It wrote faster than this page could show: about ${mib} MiB were left out.`);
  }

  #tellSize() {
    this.channel.say({ resize: { columns: this.#terminal.cols, rows: this.#terminal.rows } });
  }

  #isForTerminal(event) {
    if (event.key === "Tab" && !this.#isWriter) return false; // nobody to send it to: it moves the focus
    if (event.type !== "keydown" || !event.ctrlKey || !event.shiftKey) return true;
    if (event.code === "KeyC") this.#copy();
    else if (event.code === "KeyF") this.parts.find.focus();
    else return true;
    event.preventDefault();
    return false;
  }

  #onFind = (event) => {
    if (event.key === "Escape") this.screenFocus();
    if (event.key !== "Enter") return;
    event.preventDefault();
    const text = this.parts.find.value;
    const isFound = event.shiftKey ? this.#search.findPrevious(text) : this.#search.findNext(text);
    this.notice(isFound || !text ? "" : `“${text}” is not in what was kept.`);
  };

  #onCommand = (event) => {
    event.preventDefault();
    const words = new FormData(event.target).get("command").trim().split(/\s+/).filter(Boolean);
    this.channel.open({ command: words.length ? words : undefined });
  };

  async #copy() {
    const text = this.#terminal.getSelection();
    if (!text) this.notice("Nothing is selected. Select with the mouse, then copy.");
    else this.notice((await copied(text)) ? "Copied." : "The browser does not allow copying here: use HTTPS.");
  }

  #download() {
    const buffer = this.#terminal.buffer.active;
    let text = "";
    for (let row = 0; row < buffer.length; row += 1) {
      const line = buffer.getLine(row);
      if (row && !line.isWrapped) text += "\n";
      text += line.translateToString(true);
    }
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([`${text.trimEnd()}\n`], { type: "text/plain" }));
    link.download = `${this.getAttribute("label")}.txt`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }

  #log(button) {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    this.channel.say({ log: isOn ? "start" : "stop" });
  }

  #readOut(button) {
    const isOn = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", String(isOn));
    this.#terminal.options.screenReaderMode = isOn;
  }
}

customElements.define("text-console", TextConsole);
