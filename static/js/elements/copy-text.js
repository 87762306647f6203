// <copy-text from="ID">: a button that copies the text of the element with that id.

class CopyText extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").addEventListener("click", this.#copy);
  }

  disconnectedCallback() {
    this.querySelector("button")?.removeEventListener("click", this.#copy);
  }

  #copy = async () => {
    const text = document.getElementById(this.getAttribute("from")).textContent;
    const button = this.querySelector("button");
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand"; // no clipboard without HTTPS or permission
    }
  };
}

customElements.define("copy-text", CopyText);
