// The live list of all tasks: arranged anew when something comes or goes, painted once a frame.

import { complain } from "./announce.js";
import { cancelTask, changeQueue, getJson, queueStats, retryTask } from "./api.js";
import { arrange } from "./arrange.js";
import { h, kept, say } from "./dom.js";
import { addressOf, filterOf } from "./filters.js";
import { bind } from "./keyboard.js";
import { go } from "./router.js";
import { makeHead, makeResting, makeRunning } from "./row.js";
import { Scroller } from "./scroller.js";
import { FINAL } from "./store.js";
import { makeSummary } from "./summary.js";
import { claimTitle, totalsOf } from "./totals.js";

const WIDE = { head: 46, running: 92, resting: 50 };
const NARROW = { head: 46, running: 112, resting: 72 };
const MANY = 1_500;
const REARRANGE_MS = 300;
const TICK_MS = 1_000;
const QUEUES_MS = 15_000;
const FOUND = 500;
const SEARCH_MS = 300;

export function show(root, route, store) {
  return new List(root, route, store);
}

class List {
  #store;
  #filter;
  #narrow = matchMedia("(max-width: 640px)");
  #paused = new Set();
  #folded = new Set((kept.get("folded") ?? "").split("\n"));
  #selected = new Set();
  #current = "";
  #rearranging = 0;
  #searching = 0;
  #summary = makeSummary();
  #lines = h("ul", { class: "lines", role: "list" });
  #empty = h("p", { class: "empty" });
  #more = h("p", { class: "soft older" });
  #chosen = h("div", { class: "chosen", role: "region", "aria-label": "Selected tasks" });
  #scroller;
  #endings;

  constructor(root, route, store) {
    this.#store = store;
    this.#filter = filterOf(route.query);
    root.append(h("h1", { class: "unseen", text: "Tasks" }), this.#summary.element, this.#lines, this.#empty, this.#more, this.#chosen);
    const acts = {
      pick: (id) => this.#pick(id),
      cancel: (id) => this.#cancel([id]),
      retry: (id) => this.#retry([id]),
      fold: (queue) => this.#fold(queue),
      pause: (queue) => this.#pause(queue),
    };
    const makers = { running: makeRunning, resting: makeResting, head: makeHead };
    this.#scroller = new Scroller(this.#lines, {
      kindOf,
      height: (kind) => (this.#narrow.matches ? NARROW : WIDE)[kind],
      make: (kind) => makers[kind](acts),
      fill: (view, item, at) => this.#fill(view, item, at),
    });
    const resized = () => this.#scroller.remeasure();
    const ticking = setInterval(() => this.#tick(), TICK_MS);
    const asking = setInterval(() => this.#askQueues(), QUEUES_MS);
    this.#narrow.addEventListener("change", resized);
    this.#endings = [
      store.watch((news) => this.#hear(news)),
      bind(this.#keys()),
      () => this.#narrow.removeEventListener("change", resized),
      () => clearInterval(ticking),
      () => clearInterval(asking),
      () => clearTimeout(this.#rearranging),
      () => clearTimeout(this.#searching),
      () => this.#scroller.close(),
    ];
    claimTitle();
    this.#arrange();
    this.#askQueues();
    this.#deepen();
  }

  close() {
    for (const end of this.#endings) end();
  }

  changed(route) {
    this.#filter = filterOf(route.query);
    this.#arrange();
    clearTimeout(this.#searching);
    this.#searching = setTimeout(() => this.#deepen(), SEARCH_MS);
  }

  #hear({ ids, reshaped }) {
    if (!reshaped) this.#scroller.refresh(ids);
    else if (this.#store.size < MANY) this.#arrange();
    else {
      this.#scroller.refresh(ids);
      this.#rearranging ||= setTimeout(() => this.#arrange(), REARRANGE_MS);
    }
  }

  #arrange() {
    clearTimeout(this.#rearranging);
    this.#rearranging = 0;
    const mayPause = this.#store.may("admin");
    const arranged = arrange(this.#store.rows(), this.#filter, { paused: this.#paused, folded: this.#folded, mayPause });
    for (const id of this.#selected) if (!this.#store.get(id)) this.#selected.delete(id);
    this.#scroller.setItems(arranged.items);
    this.#summary.show(this.#filter, arranged);
    this.#tick();
    this.#showChosen();
    this.#showEmpty(arranged);
  }

  #fill(view, item, at) {
    const now = this.#store.now();
    if (item.queue !== undefined) {
      view.show(item, { isPaused: this.#paused.has(item.queue), may: this.#store.may("admin") });
      return;
    }
    const row = this.#store.get(item.key);
    if (!row || kindOf({ row }) !== kindOf(item)) return;
    view.row = row;
    view.show(row, {
      now,
      at,
      item,
      count: this.#scroller.items.length,
      selected: this.#selected.has(row.id),
      current: this.#current === row.id,
      may: this.#store.may("submit"),
    });
  }

  #tick() {
    const now = this.#store.now();
    this.#scroller.each((view) => view.row && view.tick(view.row, now));
    this.#summary.sum(totalsOf(this.#store.rows()), now);
  }

  #showEmpty({ items }) {
    const { link, complete, size, total } = this.#store;
    this.#empty.hidden = items.length > 0;
    this.#more.hidden = complete || total <= size || !items.length;
    say(this.#more, `The newest ${size.toLocaleString()} of ${total.toLocaleString()} tasks. A search looks through all of them.`);
    if (!this.#empty.hidden) this.#empty.replaceChildren(...this.#emptyWords(link, size));
  }

  #emptyWords(link, size) {
    if (size) return ["No task fits. ", h("a", { href: "./", text: "Show all" })];
    if (link === "connecting") return ["Loading …"];
    if (!this.#store.may("submit")) return ["There are no tasks yet."];
    return ["There are no tasks yet. ", h("a", { href: "new", text: "Make one" }), ", or send one to the ", h("a", { href: "docs", text: "API" }), "."];
  }

  /** What the page does not hold may be on the server. */
  async #deepen() {
    const { kind, queue, text, state } = this.#filter;
    if (this.#store.complete || !(kind || queue || text || state)) return;
    const query = new URLSearchParams({ limit: FOUND });
    if (kind) query.set("kind", kind);
    if (queue) query.set("queue", queue);
    if (text) query.set("q", text);
    if (FINAL.has(state)) query.set("state", state);
    const page = await getJson(`-/rows?${query}`).catch(() => ({ rows: [] }));
    for (const row of page.rows) this.#store.apply(row, { quietly: true });
  }

  // Queues

  async #askQueues() {
    if (document.hidden) return;
    const stats = await queueStats().catch(() => null);
    if (!stats) return;
    const paused = stats.filter((queue) => queue.paused).map((queue) => queue.queue);
    if (paused.join("\n") === [...this.#paused].join("\n")) return;
    this.#paused = new Set(paused);
    this.#arrange();
  }

  async #pause(queue) {
    await attempt(() => changeQueue(queue, { paused: !this.#paused.has(queue) }));
    await this.#askQueues();
  }

  #fold(queue) {
    if (!this.#folded.delete(queue)) this.#folded.add(queue);
    kept.set("folded", [...this.#folded].join("\n"));
    this.#arrange();
  }

  // Acting on tasks

  #pick(id) {
    if (!this.#selected.delete(id)) this.#selected.add(id);
    this.#scroller.refresh(new Set([id]));
    this.#showChosen();
  }

  #unpickAll() {
    this.#selected.clear();
    this.#scroller.refresh();
    this.#showChosen();
  }

  #showChosen() {
    const ids = [...this.#selected];
    this.#chosen.hidden = !ids.length;
    if (!ids.length) return;
    const rows = ids.map((id) => this.#store.get(id));
    const live = rows.filter((row) => !FINAL.has(row.state)).map((row) => row.id);
    const over = rows.filter((row) => row.state === "failed" || row.state === "cancelled").map((row) => row.id);
    const act = (text, some, does) => h("button", { type: "button", class: "button", disabled: !some.length, onclick: () => does(some) }, `${text} ${some.length || ""}`);
    this.#chosen.replaceChildren(
      h("b", { text: `${ids.length} selected` }),
      act("Cancel", live, (some) => this.#cancel(some)),
      act("Retry", over, (some) => this.#retry(some)),
      h("button", { type: "button", class: "button", text: "Clear", onclick: () => this.#unpickAll() }),
    );
  }

  async #cancel(ids) {
    await Promise.all(ids.map((id) => attempt(() => cancelTask(id))));
    this.#unpickAll();
  }

  async #retry(ids) {
    await Promise.all(ids.map((id) => attempt(() => retryTask(id))));
    this.#unpickAll();
  }

  // Keys

  #keys() {
    const ids = () => (this.#selected.size ? [...this.#selected] : this.#store.get(this.#current) ? [this.#current] : []);
    const only = (wanted) => ids().filter((id) => wanted(this.#store.get(id)));
    return {
      "/": ["Search", () => this.#summary.search.focus()],
      j: ["Next task", () => this.#move(1)],
      k: ["Previous task", () => this.#move(-1)],
      Enter: ["Open the task", () => this.#current && go(`tasks/${encodeURIComponent(this.#current)}`)],
      l: ["Its log", () => this.#current && go(`tasks/${encodeURIComponent(this.#current)}#log`)],
      x: ["Select it", () => this.#store.get(this.#current) && this.#pick(this.#current)],
      c: ["Cancel", () => this.#cancel(only((row) => !FINAL.has(row.state)))],
      r: ["Retry", () => this.#retry(only((row) => row.state === "failed" || row.state === "cancelled"))],
      Escape: ["Select nothing, filter nothing", () => this.#escape()],
    };
  }

  #escape() {
    if (this.#selected.size) this.#unpickAll();
    else go(addressOf({ state: "", kind: "", queue: "", text: "" }), { replace: true });
  }

  #move(by) {
    const rows = this.#scroller.items.filter((item) => item.row);
    if (!rows.length) return;
    const at = rows.findIndex((item) => item.key === this.#current);
    const next = rows[at < 0 ? (by > 0 ? 0 : rows.length - 1) : Math.min(rows.length - 1, Math.max(0, at + by))];
    const before = this.#current;
    this.#current = next.key;
    const view = this.#scroller.reveal(next.key);
    this.#scroller.refresh(new Set([before, next.key]));
    view?.title.focus({ preventScroll: true });
  }
}

const kindOf = (item) => (item.queue !== undefined ? "head" : item.row.state === "running" ? "running" : "resting");

/** Does something that may be refused; a refusal is said. */
async function attempt(act) {
  try {
    await act();
  } catch (error) {
    complain(error.message);
  }
}
