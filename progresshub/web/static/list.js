// The live list of all tasks.

import { h } from "./dom.js";

export function show(root, route, store) {
  const list = h("ul");
  root.append(list);
  const paint = () => list.replaceChildren(...[...store.rows()].map((row) => h("li", { text: `${row.title} ${row.state}` })));
  const leave = store.watch(paint);
  paint();
  return { close: leave };
}
