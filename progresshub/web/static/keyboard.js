// Single keys that do something, never while somebody types.

import { h } from "./dom.js";

const bound = new Map();

/**
 * Binds keys until the returned function is called: `{ key: [about, act] }`. A key that is bound
 * again means the newer thing until that is unbound.
 */
export function bind(keys) {
  for (const [key, [about, act]] of Object.entries(keys)) {
    bound.set(key, [{ about, act }, ...(bound.get(key) ?? [])]);
  }
  return () => {
    for (const [key, [about]] of Object.entries(keys)) {
      const left = (bound.get(key) ?? []).filter((binding) => binding.about !== about);
      if (left.length) bound.set(key, left);
      else bound.delete(key);
    }
  };
}

export function startKeyboard() {
  document.addEventListener("keydown", (event) => {
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || isTyping(event.target)) return;
    if (event.key === "Enter" && event.target.closest("a, button, summary")) return;
    const [binding] = bound.get(event.key) ?? [];
    if (!binding || document.querySelector("dialog[open]")) return;
    event.preventDefault();
    binding.act(event);
  });
}

function isTyping(element) {
  if (element.isContentEditable || element.matches("textarea, select")) return true;
  return element.matches("input") && !["checkbox", "radio", "button", "submit"].includes(element.type);
}

/** Shows every key that means something just now. */
export function showKeys() {
  const lines = [...bound].map(([key, [{ about }]]) => h("div", {}, h("dt", {}, h("kbd", { text: key })), h("dd", { text: about })));
  const close = h("button", { type: "button", class: "button", text: "Close", onclick: () => dialog.close() });
  const dialog = h(
    "dialog",
    { class: "keys", "aria-labelledby": "keys-title", onclose: () => dialog.remove() },
    h("h2", { id: "keys-title", text: "Keyboard" }),
    h("dl", {}, ...lines),
    close,
  );
  document.body.append(dialog);
  dialog.showModal();
}
