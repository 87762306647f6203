// What noVNC takes in place of a WebSocket: one RFB conversation within a console's channel. A console that has moved
// begins a new one in the same channel.

export class ConsoleStream {
  binaryType = "arraybuffer";
  protocol = "";
  readyState = "open";
  onopen = null;
  onmessage = null;
  onclose = null;
  onerror = null;
  #send;

  constructor(send) {
    this.#send = send;
  }

  send(bytes) {
    if (this.readyState === "open") this.#send(bytes);
  }

  take(data) {
    if (this.readyState === "open") this.onmessage?.({ data });
  }

  close() {
    if (this.readyState === "closed") return;
    this.readyState = "closed";
    queueMicrotask(() => this.onclose?.({ code: 1000 })); // noVNC expects it later, never within its own call
  }
}
