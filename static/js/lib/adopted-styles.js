// xterm.js under a Content Security Policy without 'unsafe-inline'. It makes <style> elements and sets style
// attributes, which the policy refuses, and takes no nonce (xtermjs/xterm.js#4445). On a page that imports this,
// document.createElement("style") gives an adopted style sheet in an element's place, and a span sets its style
// through the CSSOM. Both can only be done by scripts that run already; the policy stays as it is. decisions/0019.

class AdoptedStyle extends HTMLElement {
  #sheet = new CSSStyleSheet();

  set textContent(css) {
    this.#sheet.replaceSync(css);
  }

  connectedCallback() {
    document.adoptedStyleSheets.push(this.#sheet);
  }

  disconnectedCallback() {
    document.adoptedStyleSheets = document.adoptedStyleSheets.filter((sheet) => sheet !== this.#sheet);
  }
}

customElements.define("adopted-style", AdoptedStyle);

// xterm.js 6.0.0 asks the page's document in places although it has an option for another one (`documentOverride`)
document.createElement = (name, options) =>
  name === "style" ? new AdoptedStyle() : Document.prototype.createElement.call(document, name, options);

HTMLSpanElement.prototype.setAttribute = function (name, value) {
  if (name === "style") this.style.cssText = value;
  else Element.prototype.setAttribute.call(this, name, value);
};
