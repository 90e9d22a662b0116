// The one voice for people who listen: politely, in whole sentences, at most one every two seconds.

import { h } from "./dom.js";

const PAUSE_MS = 2_000;
const SHOWN_MS = 6_000;
let waiting = [];
let timer = 0;

export function announce(text) {
  waiting.push(text);
  timer ||= setTimeout(speak, waiting.length > 1 ? PAUSE_MS : 50);
}

function speak() {
  const texts = waiting;
  waiting = [];
  timer = setTimeout(() => {
    timer = 0;
    if (waiting.length) speak();
  }, PAUSE_MS);
  if (!texts.length) return;
  document.getElementById("said").textContent =
    texts.length > 3 ? `${texts.slice(0, 3).join(". ")}, and ${texts.length - 3} more.` : `${texts.join(". ")}.`;
}

/** Says what did not work where everybody sees it, for a while. */
export function complain(text) {
  const note = h("p", { class: "complaint", role: "alert", text });
  document.body.append(note);
  setTimeout(() => note.remove(), SHOWN_MS);
}

const ENDS = { completed: "is completed", failed: "has failed", cancelled: "is cancelled" };

/** Says of every task when it starts and when it ends. */
export function announceMoves(store) {
  store.addEventListener("moved", ({ detail: { row, from } }) => {
    const name = row.title || row.kind;
    if (row.state === "running" && from !== "retrying") announce(`${name} has started`);
    else if (row.state in ENDS) announce(`${name} ${ENDS[row.state]}`);
  });
}
