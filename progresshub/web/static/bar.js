// A progress bar: one piece, or a piece for each step; stripes where nobody knows how much there is.

import { h, put } from "./dom.js";
import { percent } from "./format.js";

const TONES = { completed: "good", failed: "bad", cancelled: "idle", retrying: "idle" };

export function toneOf(row) {
  return row.stalled || row.cancelling ? "warn" : (TONES[row.state] ?? null);
}

/** `element` goes into the page; `show(row)` brings it up to date. */
export function makeBar() {
  const element = h("div", { role: "progressbar", "aria-valuemin": "0", "aria-valuemax": "100", class: "bars" });
  let pieces = [];
  const resize = (count) => {
    if (pieces.length === count) return;
    pieces = Array.from({ length: count }, makePiece);
    element.replaceChildren(...pieces.map((piece) => piece.element));
  };
  const show = (row) => {
    const parts = row.parts ?? [];
    resize(Math.max(1, parts.length));
    const known = row.percent !== undefined && row.percent !== null;
    put(element, "aria-label", row.title || row.kind);
    put(element, "aria-valuenow", known ? Math.floor(row.percent) : null);
    put(element, "aria-valuetext", known ? percent(row.percent, row.state === "completed") : "amount unknown");
    if (!parts.length) pieces[0].show(row.percent ?? null, toneOf(row), row.state === "running");
    parts.forEach((part, at) => pieces[at].showPart(part, toneOf(row)));
  };
  return { element, show };
}

function makePiece() {
  const fill = h("div", { class: "fill" });
  const element = h("div", { class: "bar" }, fill);
  let last = "";
  const show = (value, tone, moves) => {
    const unknown = value === null && moves;
    const state = `${value} ${tone} ${unknown}`;
    if (state === last) return;
    last = state;
    put(element, "data-tone", tone);
    element.classList.toggle("unknown", unknown);
    fill.style.transform = unknown ? "" : `translateX(${(value ?? 0) - 100}%)`;
  };
  const showPart = ({ name, state, percent: value = null, weight = 1 }, tone) => {
    const runs = state === "running";
    put(element, "title", name);
    element.style.flexGrow = String(Math.max(weight, 0.001));
    const ended = { completed: "good", skipped: "idle", failed: "bad" }[state];
    show(ended ? 100 : value, ended ?? tone, runs);
  };
  return { element, show, showPart };
}
