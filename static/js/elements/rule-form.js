// <rule-form>: shows only the fields of a rule that count, and the unit of its threshold. Parts carry
// data-when="kind:metric", "scope:host" or "unit" (where there is a threshold). Without it all fields are there.

class RuleForm extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", this.#onChange);
    this.#onChange();
  }

  disconnectedCallback() {
    this.removeEventListener("change", this.#onChange);
  }

  #value(name) {
    return this.querySelector(`[name="${name}"]`)?.value ?? "";
  }

  get #unit() {
    const chosen = this.querySelector(`select[name="${this.#value("kind")}"]`)?.selectedOptions[0];
    return chosen?.dataset.unit ?? "";
  }

  #onChange = () => {
    const isMetric = this.#value("kind") === "metric";
    for (const part of this.querySelectorAll("[data-when]")) {
      const [name, value] = part.dataset.when.split(":");
      part.hidden = name === "unit" ? !isMetric && !this.#unit : this.#value(name) !== value;
    }
    const unit = this.querySelector('[data-part="unit"]');
    unit.textContent = this.#unit;
    unit.hidden = !this.#unit;
  };
}

customElements.define("rule-form", RuleForm);
