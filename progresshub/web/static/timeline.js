// A task's steps over time: how long each took, and which ran side by side.

import { h, put, say, svg } from "./dom.js";
import { clock, lasted, percent } from "./format.js";

const TICK_MS = 1_000;
const UNTOUCHED = "not done";
const SIGNS = { waiting: "·", running: "▸", completed: "✓", failed: "✕", skipped: "–" };
const TONES = { completed: "good", failed: "bad", skipped: "idle" };

export class Timeline {
  #rows = new Map();
  #steps = [];
  #list = h("ol", { class: "steps" });
  #scale = h("p", { class: "scale soft", "aria-hidden": "true" }, h("span"), h("span"));
  #now;
  #timer = 0;
  #until_ms;

  /** `now()` is the server's time. */
  constructor(now) {
    this.#now = now;
    this.element = h(
      "section", { class: "card", "aria-labelledby": "steps-title", hidden: true },
      h("h2", { id: "steps-title", text: "Steps" }), this.#list, this.#scale,
    );
  }

  /** `until_ms` is when the task ended, if it has. */
  show(steps, until_ms) {
    this.#steps = steps.map((step) => ({
      ...step, from_ms: Date.parse(step.started_at ?? ""), to_ms: Date.parse(step.finished_at ?? ""),
    }));
    this.#until_ms = until_ms;
    this.element.hidden = steps.length === 0;
    for (const [name, row] of this.#rows) if (!steps.some((step) => step.name === name)) this.#drop(name, row);
    for (const step of steps) if (!this.#rows.has(step.name)) this.#add(step.name);
    this.#paint();
    const moves = this.#steps.some((step) => step.state === "running");
    if (moves === Boolean(this.#timer)) return;
    clearInterval(this.#timer);
    this.#timer = moves ? setInterval(() => document.hidden || this.#paint(), TICK_MS) : 0;
  }

  close() {
    clearInterval(this.#timer);
  }

  #add(name) {
    const sign = h("span", { class: "sign", "aria-hidden": "true" });
    const words = h("span", { class: "took" });
    const fill = svg("rect", { class: "fill", height: "100%", rx: 3 });
    const span = svg("rect", { class: "span", height: "100%", rx: 3 });
    const note = h("p", { class: "note soft", dir: "auto", hidden: true });
    const lane = svg("svg", { class: "lane", "aria-hidden": "true" }, span, fill);
    const element = h("li", {}, h("span", { class: "name", dir: "auto" }, sign, h("span", { text: name })), lane, words, note);
    this.#list.append(element);
    this.#rows.set(name, { element, sign, words, fill, span, note });
  }

  #drop(name, row) {
    row.element.remove();
    this.#rows.delete(name);
  }

  #paint() {
    const now = this.#until_ms ?? this.#now();
    const began = this.#steps.map((step) => step.from_ms).filter(Number.isFinite);
    const first = Math.min(...began, now);
    const last = Math.max(...this.#steps.map((step) => (Number.isFinite(step.to_ms) ? step.to_ms : 0)), began.length ? now : 0);
    const whole = Math.max(1, (this.#steps.some((step) => step.state === "running") ? now : last) - first);
    for (const step of this.#steps) this.#paintStep(step, { first, whole, now });
    this.#scale.hidden = !began.length;
    say(this.#scale.firstChild, clock(first, now));
    say(this.#scale.lastChild, lasted(whole));
  }

  #paintStep(step, { first, whole, now }) {
    const { element, sign, words, fill, span, note } = this.#rows.get(step.name);
    put(element, "data-state", step.state);
    put(element, "data-tone", TONES[step.state] ?? null);
    say(sign, SIGNS[step.state] ?? "");
    const begun = Number.isFinite(step.from_ms);
    const end = Number.isFinite(step.to_ms) ? step.to_ms : now;
    const width = begun ? Math.max(0.6, (100 * (end - step.from_ms)) / whole) : 0;
    const share = step.state === "running" ? (step.percentage ?? 0) / 100 : 1;
    const from = begun ? Math.min(99.4, (100 * (step.from_ms - first)) / whole) : 0;
    for (const [rect, part] of [[span, 1], [fill, share]]) {
      put(rect, "x", `${from.toFixed(2)}%`);
      put(rect, "width", `${(width * part).toFixed(2)}%`);
    }
    const took = begun ? lasted(end - step.from_ms) : "";
    const left = step.state === "waiting" && this.#until_ms ? UNTOUCHED : step.state;
    const far = step.state === "running" && step.percentage ? percent(step.percentage) : "";
    say(words, [far, took].filter(Boolean).join(" · ") || left);
    const said = step.error || (step.state === "running" ? step.message : "");
    note.hidden = !said;
    say(note, said ?? "");
  }
}
