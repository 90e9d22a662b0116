// The lines of the list: a task at work, a task that waits or has ended, and the head of a queue.

import { makeBar } from "./bar.js";
import { h, put, say } from "./dom.js";
import { amount, clock, duration, percent, remaining, speed } from "./format.js";
import { FINAL } from "./store.js";

const SIGNS = { completed: "✓", failed: "✕", cancelled: "–", pending: "○", scheduled: "◷", retrying: "↻" };
const RETRIABLE = new Set(["failed", "cancelled"]);

export const titleOf = (row) => row.title || row.kind;

/** What a line consists of that all tasks have. `acts` are called with an id. */
function makeFrame(shape, acts) {
  let id = "";
  const pick = h("input", { type: "checkbox", class: "pick", tabindex: "-1", onchange: () => acts.pick(id) });
  const title = h("a", { class: "title", dir: "auto" });
  const kind = h("span", { class: "tag kind" });
  const attempt = h("span", { class: "tag attempt" });
  const act = h("button", { type: "button", class: "act", tabindex: "-1", onclick: () => (act.dataset.act === "retry" ? acts.retry : acts.cancel)(id) });
  const element = h("li", { class: `row ${shape}` });
  const show = (row, { item, selected, current, at, count, may }) => {
    id = row.id;
    put(element, "data-state", row.state);
    put(element, "data-id", row.id);
    put(element, "aria-posinset", at + 1);
    put(element, "aria-setsize", count);
    element.classList.toggle("first", item.first);
    element.classList.toggle("last", item.last);
    element.classList.toggle("current", current);
    element.classList.toggle("selected", selected);
    pick.checked = selected;
    put(pick, "aria-label", `Select ${titleOf(row)}`);
    say(title, titleOf(row));
    put(title, "href", `tasks/${encodeURIComponent(row.id)}`);
    put(title, "title", titleOf(row));
    say(kind, row.kind);
    showAttempt(attempt, row);
    showAct(act, row, may);
  };
  return { element, show, pick, title, kind, attempt, act };
}

function showAttempt(element, row) {
  element.hidden = !(row.attempt > 1 || row.state === "retrying");
  if (!element.hidden) say(element, `attempt ${row.attempt} of ${row.attempts}`);
}

function showAct(element, row, may) {
  const act = RETRIABLE.has(row.state) ? "retry" : FINAL.has(row.state) || row.cancelling ? "" : "cancel";
  element.hidden = !act || !may;
  if (element.dataset.act === act && element.dataset.name === titleOf(row)) return;
  element.dataset.act = act;
  element.dataset.name = titleOf(row);
  say(element, act === "retry" ? "↻" : "✕");
  put(element, "title", act === "retry" ? "Retry" : "Cancel");
  put(element, "aria-label", `${act === "retry" ? "Retry" : "Cancel"} ${titleOf(row)}`);
}

/** A task at work: its bar, what it does, how fast, and until when. */
export function makeRunning(acts) {
  const frame = makeFrame("running", acts);
  const figure = h("span", { class: "figure" });
  const bar = makeBar();
  const doing = h("span", { class: "doing", dir: "auto" });
  const pace = h("span", { class: "pace" });
  frame.element.append(
    frame.pick,
    h("div", { class: "name" }, frame.title, frame.kind, frame.attempt),
    figure,
    frame.act,
    bar.element,
    doing,
    pace,
  );
  const tick = (row, now) => {
    say(pace, paceOf(row, now));
    if (row.stalled) say(doing, doingOf(row, now));
  };
  const show = (row, context) => {
    frame.show(row, context);
    frame.element.classList.toggle("stalled", Boolean(row.stalled));
    say(figure, percent(row.percent) || (row.current === undefined ? "" : amount(row.current, row.unit)));
    bar.show(row);
    say(doing, doingOf(row, context.now));
    tick(row, context.now);
  };
  return { element: frame.element, title: frame.title, show, tick };
}

export function doingOf(row, now) {
  const step = row.steps ? `${Math.min(row.done + 1, row.steps)}/${row.steps}` : "";
  const words = [[step, row.stage].filter(Boolean).join(" "), row.message].filter(Boolean).join(" · ");
  if (row.cancelling) return ["Cancelling", words].filter(Boolean).join(" · ");
  if (!row.stalled) return words || "Running";
  const silent = row.at_ms ?? row.started_ms;
  return [`Stalled: no news for ${duration(now - silent)}`, words].filter(Boolean).join(" · ");
}

/** Speed, time left and the time of day when that is over. */
export function paceOf(row, now) {
  if (row.cancelling || row.stalled) return "";
  const left = remaining(row.ends_ms, now);
  const spent = left || row.started_ms === undefined ? "" : `for ${duration(now - row.started_ms)}`;
  return [speed(row.speed_bps, row.unit), left || spent].filter(Boolean).join(" · ");
}

/** A task that waits or has ended, in one line. */
export function makeResting(acts) {
  const frame = makeFrame("resting", acts);
  const sign = h("span", { class: "sign", "aria-hidden": "true" });
  const word = h("span", { class: "word", dir: "auto" });
  const when = h("span", { class: "when" });
  frame.element.append(
    frame.pick,
    sign,
    h("div", { class: "name" }, frame.title, frame.kind, frame.attempt),
    word,
    when,
    frame.act,
  );
  const tick = (row, now) => say(when, whenOf(row, now));
  const show = (row, context) => {
    frame.show(row, context);
    say(sign, SIGNS[row.state]);
    say(word, wordOf(row));
    put(word, "title", row.error);
    tick(row, context.now);
  };
  return { element: frame.element, title: frame.title, show, tick };
}

const WORDS = { completed: "completed", cancelled: "cancelled", pending: "waiting", scheduled: "scheduled" };

function wordOf(row) {
  if (row.state === "failed") return `failed${row.error ? `: ${row.error}` : ""}`;
  if (row.state === "retrying") return `tries again${row.error ? ` after: ${row.error}` : ""}`;
  if (row.state === "cancelled" && row.percent) return `cancelled at ${percent(row.percent)}`;
  return WORDS[row.state];
}

function whenOf(row, now) {
  if (FINAL.has(row.state)) {
    const took_ms = row.finished_ms - (row.started_ms ?? row.finished_ms);
    return [took_ms < 500 ? "" : duration(took_ms), clock(row.finished_ms, now)].filter(Boolean).join(" · ");
  }
  if (row.due_ms !== undefined) {
    return row.due_ms > now ? `in ${duration(row.due_ms - now)} · ${clock(row.due_ms, now)}` : "any moment";
  }
  return `for ${duration(now - row.created_ms)}`;
}

/** The head of a queue; `acts.fold` and `acts.pause` are called with its name. */
export function makeHead(acts) {
  let name = "";
  const label = h("span", { dir: "auto" });
  const fold = h("button", { type: "button", class: "fold", onclick: () => acts.fold(name) }, label);
  const tally = h("span", { class: "tally" });
  const paused = h("span", { class: "tag paused", text: "paused" });
  const pause = h("button", { type: "button", class: "button small", onclick: () => acts.pause(name) });
  const element = h("li", { class: "head" }, h("h2", {}, fold), tally, paused, pause);
  const show = (item, { isPaused, may }) => {
    name = item.queue;
    say(label, item.queue);
    put(fold, "title", item.queue);
    put(fold, "aria-expanded", String(!item.folded));
    say(tally, tallyOf(item));
    paused.hidden = !isPaused;
    pause.hidden = !may;
    say(pause, isPaused ? "Resume" : "Pause");
    put(pause, "aria-label", `${isPaused ? "Resume" : "Pause"} the queue ${item.queue}`);
  };
  return { element, show, tick() {} };
}

function tallyOf({ active, waiting, count }) {
  const ended = count - active - waiting;
  return [active && `${active} active`, waiting && `${waiting} waiting`, ended > 0 && `${ended} ended`].filter(Boolean).join(" · ");
}
