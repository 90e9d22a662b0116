// Forms for new tasks.

import { h } from "./dom.js";

export function show(root) {
  root.append(h("h1", { text: "New task" }));
  return { close() {} };
}
