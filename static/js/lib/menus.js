// <details class="menu"> closes by Escape and by a click elsewhere; the side bar opens on narrow screens.

export function watchMenus(root) {
  root.addEventListener("click", (event) => {
    for (const menu of root.querySelectorAll("details.menu[open]")) {
      if (!menu.contains(event.target)) menu.open = false;
    }
    const side = root.getElementById("side");
    const toggle = event.target.closest("[data-side]");
    if (toggle && side) {
      event.preventDefault();
      const isOpen = side.classList.toggle("is-open");
      toggle.setAttribute("aria-expanded", String(isOpen));
      if (isOpen) side.querySelector("a")?.focus();
    } else if (side && !side.contains(event.target)) {
      side.classList.remove("is-open");
    }
  });
  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    const menu = root.querySelector("details.menu[open]");
    if (menu) {
      menu.open = false;
      menu.querySelector("summary").focus();
    }
    root.getElementById("side")?.classList.remove("is-open");
  });
}
