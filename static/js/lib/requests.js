// What every htmx request needs (the CSRF token) and what its answer may bring (a sentence to show).
import { csrfToken } from "./cookies.js";
import { toast } from "./toasts.js";

export function watchRequests(body) {
  body.addEventListener("htmx:configRequest", (event) => {
    event.detail.headers["X-CSRFToken"] = csrfToken();
  });
  body.addEventListener("stowage:said", (event) => toast(event.detail));
  body.addEventListener("htmx:responseError", (event) => {
    const { xhr } = event.detail;
    const isSentence = xhr.getResponseHeader("Content-Type")?.startsWith("text/plain");
    toast({ text: isSentence ? xhr.responseText : `The server answered with ${xhr.status}.`, tone: "alarm" });
  });
  body.addEventListener("htmx:sendError", () => {
    toast({ text: "Stowage cannot be reached. Nothing was changed.", tone: "alarm" });
  });
}
