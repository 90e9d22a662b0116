// What has happened to a task, newest first.

import { getJson } from "./api.js";
import { h } from "./dom.js";
import { clock, date, duration } from "./format.js";

const WORDS = {
  submitted: "Submitted", scheduled: "Scheduled", due: "Became due", started: "Started",
  stalled: "Stalled", revived: "Moves again", cancelling: "Is being cancelled", completed: "Completed",
  failed: "Failed", retrying: "Will be tried again", recovered: "Waits after the server went away", cancelled: "Cancelled",
};
const TONES = { completed: "good", failed: "bad", retrying: "warn", stalled: "warn", recovered: "warn", cancelled: "idle" };

export class Events {
  #id;
  #heard = "";
  #list = h("ol", { class: "events" });

  constructor(id) {
    this.#id = id;
    this.element = h(
      "section", { class: "card", "aria-labelledby": "events-title" },
      h("h2", { id: "events-title", text: "What happened" }), this.#list,
    );
  }

  async show(row) {
    const shape = [row.state, row.attempt, row.stage, row.stalled, row.cancelling, row.done].join();
    if (shape === this.#heard) return;
    this.#heard = shape;
    const { events } = await getJson(`api/v1/tasks/${encodeURIComponent(this.#id)}/events?progress=false`);
    this.#list.replaceChildren(...lines(events));
  }
}

function lines(events) {
  const made = [];
  let before = null;
  for (const event of events) {
    const at = Date.parse(event.at);
    const note = noteOf(event, before);
    if (event.type !== "staged" || note) made.push(lineOf(event, at, note, made.length ? at - Date.parse(events[0].at) : 0));
    before = event;
  }
  return made.reverse();
}

function lineOf(event, at, note, after_ms) {
  const word = WORDS[event.type];
  return h(
    "li", { "data-tone": TONES[event.type] },
    h("p", { class: "soft when" },
      h("time", { datetime: event.at, title: date(at), text: clock(at) }),
      h("span", { text: after_ms >= 1000 ? `+${duration(after_ms)}` : "" })),
    h("p", { dir: "auto" }, word && h("span", { class: "word", text: word }), word && note ? " · " : null, note),
  );
}

/** What there is to say beside its type; nothing where that has been said just before. */
function noteOf({ type, task }, before) {
  if (type === "failed" || type === "retrying") return task.last_err;
  if (type === "started") return `attempt ${task.attempt}`;
  if (type !== "staged") return "";
  const stage = task.progress?.stage ?? "";
  const moved = (task.steps ?? []).find((step, index) => before?.task.steps?.[index]?.state !== step.state && step.state !== "waiting");
  if (moved) return `${moved.name}: ${moved.state}`;
  return stage && stage !== before?.task.progress?.stage ? stage : "";
}
