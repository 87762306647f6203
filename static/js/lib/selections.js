// A list's rows are marked by checkboxes of a form; one with data-all="<form id>" marks all that are shown, and what
// has data-count="<form id>" says how many are.

export function watchSelections(root) {
  const marks = (id) => [...root.querySelectorAll(`input[type=checkbox][form="${id}"]`)];
  root.addEventListener("change", ({ target }) => {
    const all = target.dataset?.all;
    if (all) for (const mark of marks(all)) mark.checked = target.checked;
    const id = all ?? target.getAttribute("form");
    if (!id) return;
    const count = marks(id).filter((mark) => mark.checked).length;
    for (const place of root.querySelectorAll(`[data-count="${id}"]`)) place.textContent = count ? `${count} marked` : "";
  });
}
