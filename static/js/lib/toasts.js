// A short sentence in the corner, read out by screen readers; alarms stay until closed.

const SHOWN_MS = 8000;

export function toast({ text, tone = "info", href = "", link = "" }) {
  const place = document.getElementById("toasts");
  if (!place) return;
  const note = document.createElement("div");
  note.className = "toast-note";
  note.dataset.tone = tone;
  const words = document.createElement("div");
  words.textContent = text;
  if (href) {
    const anchor = document.createElement("a");
    anchor.href = href;
    anchor.textContent = link || "Show";
    words.append(" ", anchor);
  }
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "×";
  close.setAttribute("aria-label", "Close this message");
  close.addEventListener("click", () => note.remove());
  note.append(words, close);
  place.append(note);
  if (tone !== "alarm") setTimeout(() => note.remove(), SHOWN_MS);
}
