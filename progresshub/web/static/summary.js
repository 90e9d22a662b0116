// The strip above the list: how far everything is, the filters, and the search.

import { makeBar } from "./bar.js";
import { h, put, say } from "./dom.js";
import { percent, remaining, size } from "./format.js";
import { addressOf, GROUPS } from "./filters.js";
import { go } from "./router.js";

const TYPING_MS = 120;

/** `show(filter, arranged)` brings the controls up to date, `sum(totals, now)` the figures. */
export function makeSummary() {
  let filter = { state: "", kind: "", queue: "", text: "" };
  let typing = 0;
  const turn = (change) => go(addressOf({ ...filter, ...change }), { replace: true });
  const chips = ["", ...Object.keys(GROUPS)].map((group) => makeChip(group));
  const search = h("input", {
    type: "search", id: "search", placeholder: "Search", "aria-label": "Search the tasks", spellcheck: "false", dir: "auto",
    oninput: () => {
      clearTimeout(typing);
      typing = setTimeout(() => turn({ text: search.value }), TYPING_MS);
    },
    onkeydown: (event) => {
      if (event.key === "Enter" || (event.key === "Escape" && !search.value)) search.blur();
    },
  });
  const kind = makeChoice("Every kind", "Kind", (value) => turn({ kind: value }));
  const queue = makeChoice("Every queue", "Queue", (value) => turn({ queue: value }));
  const figures = makeFigures();
  const element = h(
    "section",
    { class: "summary", "aria-label": "Overview" },
    figures.element,
    h("div", { class: "controls" }, h("nav", { class: "chips", "aria-label": "States" }, ...chips.map((chip) => chip.element)),
      h("div", { class: "sieve" }, kind.element, queue.element, search)),
  );
  const show = (now, { tallies, kinds, queues }) => {
    filter = now;
    for (const chip of chips) chip.show(filter, tallies);
    kind.show(filter.kind, kinds);
    queue.show(filter.queue, queues);
    if (document.activeElement !== search && search.value !== filter.text) search.value = filter.text;
  };
  return { element, show, sum: figures.show, search };
}

function makeChip(group) {
  const count = h("b");
  const element = h("a", { class: "chip", "data-group": group || "all" }, GROUPS[group]?.label ?? "All", " ", count);
  const show = (filter, tallies) => {
    put(element, "href", addressOf({ ...filter, state: group }));
    put(element, "aria-current", filter.state === group ? "true" : null);
    say(count, tallies[group || "all"].toLocaleString());
  };
  return { element, show };
}

function makeChoice(every, label, turn) {
  const element = h("select", { "aria-label": label, onchange: () => turn(element.value) });
  let known = null;
  const show = (value, names) => {
    const all = [...new Set([...names, value].filter(Boolean))].sort();
    element.hidden = all.length < 2 && !value;
    if (known !== all.join("\n")) {
      known = all.join("\n");
      element.replaceChildren(h("option", { value: "", text: every }), ...all.map((name) => h("option", { value: name, text: name })));
    }
    element.value = value;
  };
  return { element, show };
}

function makeFigures() {
  const figure = h("span", { class: "whole" });
  const words = h("span", { class: "words" });
  const bar = makeBar();
  const element = h("div", { class: "overall" }, h("p", {}, figure, words), bar.element);
  const show = (totals, now) => {
    put(element, "data-idle", totals.active + totals.waiting === 0);
    say(figure, totals.percent === null || totals.isDone ? "" : percent(totals.percent));
    say(words, wordsOf(totals, now));
    const state = totals.isDone ? "completed" : "running";
    bar.show({ title: "All tasks", kind: "", state, percent: totals.active || totals.isDone ? totals.percent : (totals.percent ?? 0) });
  };
  return { element, show };
}

function wordsOf({ active, waiting, scheduled, stalled, bytesPerSecond, ends_ms: ends, isDone }, now) {
  if (!active && !waiting) return `${isDone ? "All done" : "Nothing to do"}${scheduled ? ` · ${scheduled} scheduled` : ""}`;
  return [
    active && `${active.toLocaleString()} active`,
    stalled && `${stalled} stalled`,
    waiting && `${waiting.toLocaleString()} waiting`,
    scheduled && `${scheduled.toLocaleString()} scheduled`,
    bytesPerSecond > 0 && `${size(bytesPerSecond)}/s`,
    remaining(ends, now),
  ].filter(Boolean).join(" · ");
}
