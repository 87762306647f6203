// The page's one websocket. Events of `live`: "change" {kind, id, what}, "sample" {source, values},
// "again" (something may have been missed: read anew), "state" ("live" or "waiting"), "silence" (the server, or the
// way to it, is dead).

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15000;
const SILENCE_MS = 27000; // the server speaks at least every 20 s

class Live extends EventTarget {
  state = "waiting";
  #socket = null;
  #wait = FIRST_WAIT_MS;
  #sequence = 0;
  #watched = new Map();
  #silence = null;
  #watchTimer = null;

  start() {
    if (this.#socket || !document.querySelector("meta[name=live-url]")) return;
    this.#open();
  }

  watch(source) {
    this.#watched.set(source, (this.#watched.get(source) ?? 0) + 1);
    this.#tellSoon();
  }

  unwatch(source) {
    const left = (this.#watched.get(source) ?? 1) - 1;
    if (left > 0) this.#watched.set(source, left);
    else this.#watched.delete(source);
    this.#tellSoon();
  }

  #tellSoon() {
    clearTimeout(this.#watchTimer);
    this.#watchTimer = setTimeout(() => this.#tell(), 100);
  }

  #tell() {
    if (this.#socket?.readyState === WebSocket.OPEN) {
      this.#socket.send(JSON.stringify({ watch: [...this.#watched.keys()] }));
    }
  }

  #open() {
    const url = new URL(document.querySelector("meta[name=live-url]").content, location.href);
    url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
    const socket = new WebSocket(url);
    this.#socket = socket;
    socket.onopen = () => {
      this.#wait = FIRST_WAIT_MS;
      this.#sequence = 0;
      this.#setState("live");
      this.#tell();
      // at the first opening too: what changed since the page was made rang no bell here
      this.#emit("again");
      this.#listenForSilence();
    };
    socket.onmessage = (event) => this.#hear(JSON.parse(event.data));
    socket.onclose = (event) => this.#closed(event);
    this.#listenForSilence(); // a frozen server takes the connection and never answers
  }

  #hear(message) {
    this.#listenForSilence();
    if (message.sequence !== undefined) {
      const isGap = this.#sequence && message.sequence !== this.#sequence + 1;
      this.#sequence = message.sequence;
      if (isGap || message.again) this.#emit("again");
    }
    for (const change of message.changes ?? []) this.#emit("change", change);
    for (const [source, values] of Object.entries(message.samples ?? {})) this.#emit("sample", { source, values });
  }

  #closed(event) {
    clearTimeout(this.#silence);
    this.#socket = null;
    this.#setState("waiting");
    if (event.code === 4401) {
      location.reload(); // logged out elsewhere: the server sends us to the login page
      return;
    }
    const wait = this.#wait * (0.5 + Math.random()); // jitter: a restarted server is not met by all at once
    this.#wait = Math.min(LONGEST_WAIT_MS, this.#wait * 2);
    setTimeout(() => this.#open(), wait);
  }

  #listenForSilence() {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => this.#giveUp(), SILENCE_MS);
  }

  #giveUp() {
    // not left to the close event: the browser waits minutes for a server that does not say goodbye
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.close();
    this.#closed({ code: 0 });
    this.#emit("silence");
  }

  #setState(state) {
    this.state = state;
    this.#emit("state", state);
  }

  #emit(name, detail) {
    this.dispatchEvent(new CustomEvent(name, { detail }));
  }
}

export const live = new Live();
