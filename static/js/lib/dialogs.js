// Opens <dialog> by a button with data-opens="<id>", and holds back its submit button until the name that
// stands in data-typed has been typed. The server asks for the name again.

export function watchDialogs(root) {
  root.addEventListener("click", (event) => {
    const opener = event.target.closest("[data-opens]");
    if (opener && opener.getAttribute("aria-disabled") !== "true") {
      event.preventDefault();
      const dialog = document.getElementById(opener.dataset.opens);
      dialog?.showModal();
      refresh(dialog);
    }
    const closer = event.target.closest("[data-closes]");
    if (closer) closer.closest("dialog").close();
    if (event.target instanceof HTMLDialogElement) event.target.close(); // the backdrop
    const held = event.target.closest("[aria-disabled=true]");
    if (held) event.preventDefault();
  });
  root.addEventListener("input", (event) => refresh(event.target.closest("dialog")));
  root.addEventListener("htmx:afterRequest", (event) => {
    if (event.detail.successful) event.target.closest("dialog")?.close();
  });
}

function refresh(dialog) {
  const typed = dialog?.querySelector("input[data-typed]");
  const submit = dialog?.querySelector("[data-submit]");
  if (submit && typed) submit.disabled = typed.value !== typed.dataset.typed;
}
