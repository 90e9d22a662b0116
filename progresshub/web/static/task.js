// One task's page: how it stands, what may be done to it, its steps, its course, its log, and what came of it.

import { cancelTask, changeQueue, queueStats, retryTask } from "./api.js";
import { makeBar, toneOf } from "./bar.js";
import { Chart } from "./chart.js";
import { h, put, say } from "./dom.js";
import { Events } from "./events.js";
import { amount, clock, date, duration, lasted, percent, speed } from "./format.js";
import { bind } from "./keyboard.js";
import { LogView } from "./log.js";
import { addressOf, Result } from "./result.js";
import { go } from "./router.js";
import { showShare } from "./share.js";
import { FedTask, SharedTask } from "./source.js";
import { FINAL } from "./store.js";
import { Timeline } from "./timeline.js";

const STATES = {
  scheduled: "Scheduled", pending: "Waiting", running: "Running", retrying: "Will be tried again",
  completed: "Completed", failed: "Failed", cancelled: "Cancelled",
};
const TICK_MS = 1_000;
const SOON_MS = 500;

/** A task that was shared is shown to whoever has the link; the server knows. */
export function open(route) {
  return route.query.has("shared");
}

export function show(root, route, store) {
  const page = new TaskPage(root, route.params.id, store);
  return { close: () => page.close() };
}

class TaskPage {
  #id;
  #store;
  #root;
  #row = null;
  #task = null;
  #paused = null;
  #parts;
  #source;
  #unbind;
  #timer;

  constructor(root, id, store) {
    [this.#root, this.#id, this.#store] = [root, id, store];
    const live = () => !this.#row || !FINAL.has(this.#row.state);
    this.#parts = {
      timeline: new Timeline(() => store.now()), chart: new Chart(id), result: new Result(id), events: new Events(id),
      log: new LogView(id, live),
    };
    const { timeline, chart, result, events, log } = this.#parts;
    this.#build();
    root.append(this.head, timeline.element, chart.element, result.element, log.element, events.element, this.asked);
    const heard = [(row, task) => this.#hear(row, task), (error) => this.#lost(error)];
    this.#source = store.may("read") ? new FedTask(id, store, ...heard) : new SharedTask(id, store, ...heard);
    this.#unbind = bind(this.#keys());
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  close() {
    clearInterval(this.#timer);
    this.#unbind();
    this.#source.close();
    const { timeline, chart, result, log } = this.#parts;
    for (const part of [timeline, chart, result, log]) part.close();
  }

  #keys() {
    return {
      c: ["Cancel this task", () => this.cancel.hidden || this.cancel.click()],
      r: ["Do this task over", () => this.retry.hidden || this.retry.click()],
      l: ["To the log", () => this.#parts.log.focus()],
      Escape: ["Back to the list", () => this.#store.may("read") && go("./")],
    };
  }

  #build() {
    this.title = h("h1", { dir: "auto", text: "…" });
    this.tags = h("p", { class: "tags" });
    this.state = h("strong", { class: "state" });
    this.percent = h("span", { class: "percent" });
    this.figures = h("span", { class: "figures soft" });
    this.bar = makeBar();
    this.message = h("p", { class: "message soft", dir: "auto" });
    this.refusal = h("p", { class: "refusal", role: "alert" });
    this.times = h("p", { class: "times soft" });
    const button = (text, act, names = "button") => h("button", { type: "button", class: names, text, hidden: true, onclick: () => this.#do(act) });
    this.save = h("a", { class: "button main", text: "Save the file", hidden: true });
    this.cancel = button("Cancel", () => cancelTask(this.#id), "button bad");
    this.retry = button("Do it over", () => this.#retry());
    this.pause = button("", () => this.#turnQueue());
    this.share = h("button", { type: "button", class: "button", text: "Share", hidden: true, onclick: () => showShare(this.#id) });
    const actions = h("div", { class: "actions" }, this.save, this.cancel, this.retry, this.pause, this.share);
    this.head = h(
      "section", { class: "card task-head", "aria-label": "Task" },
      h("div", { class: "task-title" }, h("div", {}, this.title, this.tags), actions),
      h("p", { class: "standing" }, this.state, this.percent, this.figures),
      this.bar.element, this.message, this.refusal, this.times,
    );
    this.payload = h("pre", { class: "json", tabindex: "0", "aria-label": "What was asked" });
    this.asked = h("details", { class: "card asked" }, h("summary", {}, "What was asked"), this.payload);
  }

  async #do(act) {
    say(this.refusal, "");
    try {
      await act();
    } catch (error) {
      say(this.refusal, error.message);
    }
  }

  async #retry() {
    const { task_id } = await retryTask(this.#id);
    go(`tasks/${task_id}`);
  }

  async #turnQueue() {
    await changeQueue(this.#row.queue, { paused: !this.#paused });
    await this.#learnQueue();
  }

  async #learnQueue() {
    if (!this.#store.may("admin")) return;
    const queue = (await queueStats()).find(({ queue: name }) => name === this.#row.queue);
    this.#paused = queue?.paused ?? false;
    this.pause.hidden = false;
    say(this.pause, this.#paused ? `Resume ${this.#row.queue}` : `Pause ${this.#row.queue}`);
  }

  #lost(error) {
    document.title = "No task · progresshub";
    this.close();
    this.#root.replaceChildren(h("p", { class: "empty" }, error.message, " ", h("a", { href: "./", text: "All tasks" })));
  }

  #hear(row, task) {
    const isNew = task !== this.#task;
    const isFirst = !this.#row;
    [this.#row, this.#task] = [row, task];
    this.#paint();
    if (isFirst) this.#begin();
    this.#parts.chart.hear(row);
    this.#parts.timeline.show(stepsOf(row, task), row.finished_ms);
    if (!isNew) return;
    this.#parts.events.show(row).catch(() => {});
    this.#parts.result.show(row, task).then((files) => files && this.#offer(files), () => {});
    say(this.payload, JSON.stringify({ ...task.payload }, null, 2));
  }

  #begin() {
    this.#do(() => this.#learnQueue());
    if (location.hash === "#log") this.#parts.log.focus();
  }

  #offer(files) {
    this.save.hidden = files.length !== 1 || this.#row.state !== "completed";
    if (this.save.hidden) return;
    put(this.save, "href", addressOf(files[0]));
    put(this.save, "download", files[0].name.split("/").at(-1));
  }

  #paint() {
    const row = this.#row;
    const name = row.title || row.kind;
    const over = FINAL.has(row.state);
    const done = row.state === "completed";
    const unknown = row.state === "running" && row.percent === undefined;
    const far = percent(row.percent, done);
    document.title = `${unknown || !far ? STATES[row.state] : far} · ${name}`;
    say(this.title, name);
    this.#tag(row);
    const word = row.cancelling ? "Is being cancelled" : row.stalled ? "Stalled" : STATES[row.state];
    say(this.state, word);
    put(this.head, "data-tone", row.state === "retrying" ? "warn" : toneOf(row));
    this.bar.show(row);
    say(this.percent, far);
    say(this.message, messageOf(row));
    this.cancel.hidden = over || row.cancelling || !this.#store.may("submit");
    this.retry.hidden = !["failed", "cancelled"].includes(row.state) || !this.#store.may("submit");
    this.share.hidden = !this.#store.may("submit");
    this.#tick();
  }

  #tag(row) {
    const tags = [row.kind, row.queue, row.attempt > 1 || (row.attempt && row.state === "retrying") ? `attempt ${row.attempt} of ${row.attempts}` : "",
      this.#store.may("read") ? "" : "shared, for reading only"];
    const wanted = tags.filter(Boolean);
    if (wanted.join() === [...this.tags.children].map((tag) => tag.textContent).join()) return;
    this.tags.replaceChildren(...wanted.map((text) => h("span", { class: "tag", text })));
  }

  #tick() {
    const row = this.#row;
    if (!row || document.hidden) return;
    const now = this.#store.now();
    say(this.figures, figuresOf(row, now).filter(Boolean).join(" · "));
    say(this.times, timesOf(row, now).filter(Boolean).join(" · "));
  }
}

/** The steps with their newest figures, which come with the row. */
function stepsOf(row, task) {
  const steps = task.steps ?? [];
  const running = steps.filter((step) => step.state === "running").length;
  return steps.map((step, at) => ({
    ...step,
    percentage: row.parts?.[at]?.percent ?? step.percentage,
    message: running === 1 ? row.message : step.message,
  }));
}

function timesOf(row, now) {
  const { state, created_ms: asked, started_ms: begun, finished_ms: ended, due_ms: due } = row;
  const next = { scheduled: "begins", retrying: "tries again" }[state];
  return [
    `Asked for ${date(asked)}`,
    begun && ended && `took ${lasted(ended - begun)}`,
    begun && state === "running" && `running for ${duration(now - begun)}`,
    next && due && `${next} at ${clock(due, now)}`,
  ];
}

function figuresOf(row, now) {
  if (row.state !== "running") return [];
  const much = row.total ? `${amount(row.current ?? 0, row.unit)} of ${amount(row.total, row.unit)}` : amount(row.current, row.unit);
  const soon = row.ends_ms > now + SOON_MS && !row.stalled;
  const left = soon ? `${duration(row.ends_ms - now)} left, until ${clock(row.ends_ms, now)}` : "";
  const silent = row.stalled ? `no news for ${duration(now - (row.at_ms ?? row.started_ms))}` : "";
  return [much, silent || speed(row.speed_bps, row.unit), left];
}

function messageOf(row) {
  if (row.state === "completed") return "";
  if (row.error && row.state !== "running") return row.error;
  return [row.stage, row.message].filter((text, index, all) => text && text !== all[index - 1]).join(" · ");
}
