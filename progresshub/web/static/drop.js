// What is dropped onto the page, or pasted, becomes a new task: an address is downloaded, a file goes with its form.

import { h } from "./dom.js";
import { go } from "./router.js";

let files = [];

/** The files that were dropped last, once. */
export const dropped = {
  take() {
    const taken = files;
    files = [];
    return taken;
  },
};

/** `may()` says whether whoever looks may submit. */
export function startDrops(may) {
  const veil = h("p", { class: "veil", hidden: true, text: "Drop an address or a file to make a task of it" });
  document.body.append(veil);
  let over = 0;
  const wanted = (event) => may() && [...(event.dataTransfer?.types ?? [])].some((type) => type === "Files" || type === "text/uri-list");
  const leave = () => {
    over = 0;
    veil.hidden = true;
  };
  document.addEventListener("dragenter", (event) => {
    if (!wanted(event)) return;
    over += 1;
    veil.hidden = false;
  });
  document.addEventListener("dragleave", () => {
    over = Math.max(0, over - 1);
    if (!over) veil.hidden = true;
  });
  document.addEventListener("dragover", (event) => {
    if (wanted(event)) event.preventDefault();
  });
  document.addEventListener("drop", (event) => {
    leave();
    if (!wanted(event) || event.target.matches?.("input[type=file]")) return;
    event.preventDefault();
    take(event.dataTransfer);
  });
  document.addEventListener("paste", (event) => {
    if (!may() || event.target.closest?.("input, textarea, select, [contenteditable]")) return;
    take(event.clipboardData);
  });
}

function take(data) {
  files = [...data.files];
  const address = (data.getData("text/uri-list") || data.getData("text/plain")).split(/\s+/).find((line) => /^https?:\/\//.test(line));
  if (files.length) go("new");
  else if (address) go(`new?type=download&url=${encodeURIComponent(address)}`);
}
