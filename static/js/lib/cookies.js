// The CSRF token, from the cookie that Django sets with every page.
export function csrfToken() {
  const meta = document.querySelector("meta[name=csrf-token]");
  return meta ? meta.content : "";
}
