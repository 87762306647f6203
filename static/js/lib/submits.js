// A form is sent once: a second press does nothing while the first is on its way. The server asks for a token too.

const FORGOTTEN_MS = 10000; // an answer that never came must not block the form for good

export function watchSubmits(root) {
  const sent = new WeakMap();
  root.addEventListener("submit", (event) => {
    const form = event.target;
    if (form.method === "get" || event.defaultPrevented) return;
    if (Date.now() - (sent.get(form) ?? 0) < FORGOTTEN_MS) {
      event.preventDefault();
      return;
    }
    sent.set(form, Date.now());
    event.submitter?.setAttribute("aria-busy", "true");
  });
  // gone back to: the page may come from memory, with its forms as they were left
  window.addEventListener("pageshow", () => {
    for (const form of root.forms) sent.delete(form);
    for (const button of root.querySelectorAll("button[aria-busy]")) button.removeAttribute("aria-busy");
  });
}
