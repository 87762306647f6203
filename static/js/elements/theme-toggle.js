// <theme-toggle>: a button that changes between light and dark and remembers it.

class ThemeToggle extends HTMLElement {
  connectedCallback() {
    this.querySelector("button").addEventListener("click", this.#change);
    this.#name();
  }

  disconnectedCallback() {
    this.querySelector("button")?.removeEventListener("click", this.#change);
  }

  #change = () => {
    const root = document.documentElement;
    root.dataset.bsTheme = root.dataset.bsTheme === "dark" ? "light" : "dark";
    localStorage.setItem("stowage-theme", root.dataset.bsTheme);
    this.#name();
    document.dispatchEvent(new CustomEvent("stowage:theme"));
  };

  #name() {
    const isDark = document.documentElement.dataset.bsTheme === "dark";
    this.querySelector("button").setAttribute("aria-label", isDark ? "Use the light theme" : "Use the dark theme");
    this.querySelector("[data-when=dark]").hidden = !isDark;
    this.querySelector("[data-when=light]").hidden = isDark;
  }
}

customElements.define("theme-toggle", ThemeToggle);
