// One task's page.

import { h } from "./dom.js";

export function show(root, route, store) {
  root.append(h("h1", { dir: "auto", text: store.get(route.params.id)?.title ?? route.params.id }));
  return { close() {} };
}
