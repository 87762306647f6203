// <piece-upload to="/api/image-uploads" images="/images/" operations="/operations/">: sends the file of the form inside
// in pieces, and goes on from the last one after a broken connection, also after the page was closed. Without it the
// form is sent as any other.
import { csrfToken } from "../lib/cookies.js";

const PIECE_BYTES = 8 * 1024 * 1024;
const TRIES = 6;

class PieceUpload extends HTMLElement {
  connectedCallback() {
    this.querySelector("form").addEventListener("submit", this.#submit);
  }

  disconnectedCallback() {
    this.querySelector("form")?.removeEventListener("submit", this.#submit);
  }

  #submit = async (event) => {
    const form = event.target;
    const file = form.elements.file.files[0];
    if (!file) return; // the server says what is missing
    event.preventDefault();
    const button = form.querySelector("button.btn-primary");
    button.disabled = true;
    let arrival = null;
    try {
      arrival = await this.#begun(form, file);
      await this.#send(arrival, file);
      this.#say("Examining it …", 1);
      const made = await this.#call("POST", `${arrival.uuid}/finish`, {});
      localStorage.removeItem(this.#key(form, file));
      location.assign(made.operation ? `${this.getAttribute("operations")}${made.operation}/` : this.getAttribute("images"));
    } catch (error) {
      if (arrival && error.status === 422) await this.#giveUp(arrival, form, file); // it would be refused again
      this.#say(error.message, null);
      button.disabled = false;
    }
  };

  async #giveUp(arrival, form, file) {
    localStorage.removeItem(this.#key(form, file));
    await this.#call("DELETE", arrival.uuid).catch(() => {}); // then it goes by itself after two days
  }

  async #begun(form, file) {
    const key = this.#key(form, file);
    const known = localStorage.getItem(key);
    if (known) {
      const answer = await fetch(`${this.getAttribute("to")}/${known}`);
      if (answer.ok) return answer.json();
    }
    const { name, format, reference, sha256 } = form.elements;
    const wish = { name: name.value, format: format.value, reference: reference.value, sha256: sha256.value };
    const arrival = await this.#call("POST", "", { ...wish, size_bytes: file.size });
    localStorage.setItem(key, arrival.uuid);
    return arrival;
  }

  async #send(arrival, file) {
    let at = arrival.received_bytes;
    let failed = 0;
    while (at < file.size) {
      this.#say(`${Math.floor((100 * at) / file.size)} %`, at / file.size);
      try {
        at = (await this.#call("PUT", `${arrival.uuid}/pieces/${at}`, file.slice(at, at + PIECE_BYTES))).received_bytes;
        failed = 0;
      } catch (error) {
        if (error.status === 409) {
          at = (await this.#call("GET", arrival.uuid)).received_bytes; // a piece whose answer was lost
        } else if (error.status || ++failed >= TRIES) {
          throw error;
        }
        this.#say("The connection broke off; going on …", at / file.size);
        await new Promise((done) => setTimeout(done, 1000 * 2 ** failed));
      }
    }
  }

  async #call(method, path, body) {
    const isBytes = body instanceof Blob;
    const headers = { "X-CSRFToken": csrfToken() };
    if (body && !isBytes) headers["Content-Type"] = "application/json";
    const to = path ? `${this.getAttribute("to")}/${path}` : this.getAttribute("to");
    const answer = await fetch(to, { method, headers, body: isBytes || !body ? body : JSON.stringify(body) });
    const told = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      const error = new Error(told.message ?? `The server answered with ${answer.status}.`);
      error.status = answer.status;
      throw error;
    }
    return told;
  }

  #key(form, file) {
    return `stowage-upload:${form.elements.name.value}:${file.name}:${file.size}:${file.lastModified}`;
  }

  #say(text, part) {
    const line = this.querySelector("[data-said]");
    line.hidden = false;
    const said = line.querySelector("p");
    said.textContent = text;
    said.className = part === null ? "field-error" : "quiet";
    const bar = line.querySelector("progress");
    bar.hidden = part === null;
    if (part !== null) bar.value = part;
  }
}

customElements.define("piece-upload", PieceUpload);
