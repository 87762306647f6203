// A console's line to the server: a ticket by POST, a socket, the ticket as its first message; then JSON as text and
// the console itself as bytes. Events: "state" {state, sentence}, "opened", "change", "moved" (the server's words),
// "notice" sentence, "bytes" ArrayBuffer. A lost line is opened anew with a new ticket, unless `isKept` is false:
// then what ran in it has ended with it.
import { csrfToken } from "./cookies.js";
import { live } from "./live.js";

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10000;
const OPENING_MS = 20000;
const MESSAGE_MOST = 16 * 1024; // the server takes 64 KiB
const ENDED = 1000;
const LOGGED_OUT = 4401;
const NO_RIGHT = 4403;
const GONE = 4404;
const TICKET_REFUSED = 4408;
const SENTENCES = {
  [ENDED]: "It has ended.",
  [NO_RIGHT]: "Your role does not allow this console.",
  [GONE]: "What it belonged to is gone.",
  [TICKET_REFUSED]: "The server refused to open it.",
};

export class ConsoleChannel extends EventTarget {
  state = "closed";
  #asked;
  #isKept;
  #socket = null;
  #attempt = null; // what is under way; an answer to an older one is passed over
  #timer = null;
  #wait = FIRST_WAIT_MS;
  #wasOpen = false;
  #refusals = 0;
  #isWaitingForChange = false;
  #lastWord = "";

  constructor(asked, { isKept }) {
    super();
    this.#asked = asked;
    this.#isKept = isKept;
    live.addEventListener("change", this.#onChange);
    live.addEventListener("silence", this.#onSilence);
  }

  open(changes = {}) {
    this.#leave();
    Object.assign(this.#asked, changes);
    this.#wait = FIRST_WAIT_MS;
    this.#wasOpen = false;
    this.#begin();
  }

  close() {
    this.#leave();
    live.removeEventListener("change", this.#onChange);
    live.removeEventListener("silence", this.#onSilence);
  }

  // the browser's own side has given it up
  fail(sentence) {
    this.#end(sentence);
  }

  say(message) {
    if (this.#socket?.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(message));
  }

  send(bytes) {
    if (this.#socket?.readyState !== WebSocket.OPEN) return;
    for (let start = 0; start < bytes.length; start += MESSAGE_MOST) this.#socket.send(bytes.subarray(start, start + MESSAGE_MOST));
  }

  async #begin() {
    const attempt = (this.#attempt = {});
    this.#isWaitingForChange = false;
    this.#lastWord = "";
    this.#setState("opening", "Opening…");
    this.#timer = setTimeout(() => this.#again("The server does not answer."), OPENING_MS);
    const answer = await ticketAsked(this.#asked);
    if (attempt !== this.#attempt) return;
    if (answer.ticket) this.#connect(answer.ticket, attempt);
    else if (answer.status === 401) location.reload(); // logged out: the server sends us to the login page
    else if (answer.status === 0 || answer.status >= 429 || (answer.status === 409 && this.#wasOpen)) this.#again(answer.message);
    else this.#end(answer.message, answer.status === 409);
  }

  #connect(ticket, attempt) {
    const url = new URL("/live/console/", location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => socket.send(JSON.stringify({ ticket }));
    socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.#hear(JSON.parse(data));
      else this.#emit("bytes", data);
    };
    socket.onclose = ({ code }) => attempt === this.#attempt && this.#closed(code);
    this.#socket = socket;
  }

  #hear(message) {
    if (message.opened) {
      clearTimeout(this.#timer);
      this.#wait = FIRST_WAIT_MS;
      this.#wasOpen = true;
      this.#refusals = 0;
      this.#setState("open", "Connected");
      this.#emit("opened", message.opened);
    } else if (message.closed) this.#lastWord = String(message.closed);
    else if (message.moved) this.#emit("moved", message.moved);
    else if (message.notice) this.#emit("notice", String(message.notice));
    else this.#emit("change", message);
  }

  #closed(code) {
    this.#refusals += code === TICKET_REFUSED ? 1 : 0;
    const said = this.#lastWord || SENTENCES[code];
    if (code === LOGGED_OUT) location.reload();
    else if ([ENDED, NO_RIGHT, GONE].includes(code) || this.#refusals > 1) this.#end(said);
    else if (!this.#isKept && this.#wasOpen) this.#end(this.#lastWord || "The connection was lost, and what ran in it has ended.");
    else this.#again(said || "The connection was lost.");
  }

  #again(sentence) {
    this.#leave();
    this.#setState("waiting", `${sentence} Trying again…`);
    this.#timer = setTimeout(() => this.#begin(), this.#wait * (0.5 + Math.random())); // jitter: not all at once
    this.#wait = Math.min(LONGEST_WAIT_MS, this.#wait * 2);
  }

  #end(sentence, isWaitingForChange = false) {
    this.#leave();
    this.#isWaitingForChange = isWaitingForChange;
    this.#setState("closed", sentence);
  }

  #leave() {
    clearTimeout(this.#timer);
    this.#attempt = null;
    if (!this.#socket) return;
    this.#socket.onopen = this.#socket.onmessage = this.#socket.onclose = null;
    this.#socket.close();
    this.#socket = null;
  }

  #onChange = ({ detail: { id } }) => {
    // refused until now for its state, which has just changed: a VM that is started shows itself
    if (this.#isWaitingForChange && id === this.#asked.thing) this.open();
  };

  #onSilence = () => {
    // a cut network closes no socket: the page's other line to the same server tells
    if (this.state === "open" && this.#isKept) this.#again("The server does not answer.");
  };

  #setState(state, sentence) {
    this.state = state;
    this.#emit("state", { state, sentence });
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

// {ticket}, or {status, message}; status 0 where nobody answered
async function ticketAsked(asked) {
  try {
    const answer = await fetch("/api/consoles/tickets", {
      method: "POST",
      headers: { "Content-Type": "application/json", "X-CSRFToken": csrfToken() },
      credentials: "same-origin",
      body: JSON.stringify(asked),
    });
    const said = await answer.json().catch(() => ({}));
    if (answer.ok) return said;
    return { status: answer.status, message: said.message ?? `The server answered with ${answer.status}.` };
  } catch {
    return { status: 0, message: "Stowage cannot be reached." };
  }
}
