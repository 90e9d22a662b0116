// What is shown where there is nothing.

import { h } from "./dom.js";

export function show(root) {
  document.title = "Nothing here · progresshub";
  root.append(h("p", { class: "empty" }, "There is nothing here. ", h("a", { href: "./", text: "All tasks" })));
  return { close() {} };
}
