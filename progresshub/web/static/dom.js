// Elements, made without markup: whatever a text holds, it stays text.

const SVG = "http://www.w3.org/2000/svg";

/**
 * A new element. `given` are attributes; of them `on…` are listeners, `class` and `text` what they say,
 * and what is null, undefined or false is left out.
 */
export function h(tag, given = {}, ...children) {
  return furnish(document.createElement(tag), given, children);
}

export function svg(tag, given = {}, ...children) {
  return furnish(document.createElementNS(SVG, tag), given, children);
}

function furnish(element, given, children) {
  for (const [name, value] of Object.entries(given)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "text") element.textContent = value;
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return element;
}

/** Sets a text, and leaves the page alone where it is there already. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Sets an attribute, or takes it away for null and false, where that changes something. */
export function put(element, name, value) {
  const wanted = value === null || value === undefined || value === false ? null : value === true ? "" : String(value);
  if (element.getAttribute(name) === wanted) return;
  if (wanted === null) element.removeAttribute(name);
  else element.setAttribute(name, wanted);
}

/** What is stored for this browser; a browser that keeps nothing is no reason to stop. */
export const kept = {
  get(name) {
    try {
      return localStorage.getItem(`progresshub.${name}`);
    } catch {
      return null;
    }
  },
  set(name, value) {
    try {
      if (value === null) localStorage.removeItem(`progresshub.${name}`);
      else localStorage.setItem(`progresshub.${name}`, value);
    } catch {
      // It holds until the page is left.
    }
  },
};
