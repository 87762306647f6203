// Turns one element's content into another's by the fewest changes, so that focus, scrolling, open menus
// and running charts stay. Children are matched by id or data-key, else by place and tag.

export function morph(from, to) {
  morphChildren(from, to);
}

function keyOf(node) {
  return node.nodeType === Node.ELEMENT_NODE ? node.id || node.dataset.key || null : null;
}

function morphChildren(from, to) {
  const keyed = new Map();
  for (const child of from.children) {
    const key = keyOf(child);
    if (key) keyed.set(key, child);
  }
  let place = from.firstChild;
  for (const wanted of [...to.childNodes]) {
    const key = keyOf(wanted);
    let found = key ? keyed.get(key) : null;
    if (!key) {
      while (place && keyOf(place) && keyed.has(keyOf(place)) && isWantedLater(place, wanted)) place = place.nextSibling;
      if (place && !keyOf(place) && place.nodeName === wanted.nodeName) found = place;
    }
    if (found && found.nodeName === wanted.nodeName) {
      if (found === place) place = place.nextSibling;
      else from.insertBefore(found, place);
      keyed.delete(key);
      morphNode(found, wanted);
    } else {
      from.insertBefore(document.importNode(wanted, true), place);
    }
  }
  while (place) {
    const next = place.nextSibling;
    place.remove();
    place = next;
  }
}

function isWantedLater(place, wanted) {
  const key = keyOf(place);
  for (let next = wanted.nextSibling; next; next = next.nextSibling) if (keyOf(next) === key) return true;
  return false;
}

function morphNode(node, wanted) {
  if (node.nodeType !== Node.ELEMENT_NODE) {
    if (node.nodeValue !== wanted.nodeValue) node.nodeValue = wanted.nodeValue;
    return;
  }
  if (node.hasAttribute("data-keep") && wanted.hasAttribute("data-keep")) return;
  const isOpenable = node instanceof HTMLDetailsElement || node instanceof HTMLDialogElement;
  for (const { name, value } of [...wanted.attributes]) {
    if (isOpenable && name === "open") continue;
    if (node.getAttribute(name) !== value) node.setAttribute(name, value);
  }
  for (const { name } of [...node.attributes]) {
    if (isOpenable && name === "open") continue;
    if (!wanted.hasAttribute(name) && !name.startsWith("data-live-") && name !== "style") node.removeAttribute(name);
  }
  morphChildren(node, wanted);
}
