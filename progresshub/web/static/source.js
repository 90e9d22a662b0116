// What is known of one task, kept true: from the dashboard's own feed, or from the task's where only that is shared.
//
// `hear(row, task)` is called with how it stands now and all that is known of it; `lost(error)` when there is no task
// to be shown.

import { ApiError, getTask, url } from "./api.js";

const AGAIN_MS = 400;
const DELETED = "This task was deleted.";
const EVENTS = [
  "task", "submitted", "scheduled", "due", "started", "progressed", "staged", "stalled", "revived", "cancelling",
  "completed", "failed", "retrying", "recovered", "cancelled",
];
const MOST_PARTS = 24;
const STATES = { active: "running", retry: "retrying" };

/** The whole task is asked for again whenever its row shows that more than figures has changed. */
export class FedTask {
  #id;
  #store;
  #hear;
  #lost;
  #leave;
  #task = null;
  #shape = "";
  #timer = 0;
  #closed = false;
  #onLink = () => this.#store.link === "live" && this.#soon(0);

  constructor(id, store, hear, lost) {
    this.#id = id;
    this.#store = store;
    this.#hear = hear;
    this.#lost = lost;
    this.#leave = store.watch(({ ids }) => ids.has(id) && this.#moved());
    store.addEventListener("link", this.#onLink);
    this.#load();
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#leave();
    this.#store.removeEventListener("link", this.#onLink);
  }

  #moved() {
    const row = this.#store.get(this.#id);
    if (!row) {
      this.#soon(0); // deleted, or one of more than the page keeps
      return;
    }
    if (this.#task) this.#hear(row, this.#task);
    if (shapeOf(row) !== this.#shape) this.#soon(AGAIN_MS);
  }

  #soon(wait_ms) {
    if (this.#closed || this.#timer) return;
    this.#timer = setTimeout(() => this.#load(), wait_ms);
  }

  async #load() {
    const before = this.#store.get(this.#id);
    const known = this.#task;
    try {
      this.#task = await getTask(this.#id);
    } catch (error) {
      this.#timer = 0;
      if (this.#closed) return;
      if (error.status === 404) this.#lost(known ? new ApiError(404, error.code, DELETED) : error);
      else if (error.status !== 401) this.#soon(5 * AGAIN_MS);
      return;
    }
    this.#timer = 0;
    if (this.#closed) return;
    const row = this.#store.get(this.#id);
    if (before) this.#shape = shapeOf(before);
    this.#hear(row ?? rowOf(this.#task), this.#task);
    if (row && shapeOf(row) !== this.#shape) this.#soon(AGAIN_MS);
  }
}

/** What of a row goes along with something that is not in it. */
function shapeOf(row) {
  const parts = (row.parts ?? []).map((part) => part.state).join();
  return [row.state, row.attempt, row.cancelling, row.steps, row.done, parts].join();
}

/** Everything comes over the task's own stream, which begins with how it stands. */
export class SharedTask {
  #stream;

  constructor(id, store, hear, lost) {
    this.#stream = new EventSource(url(`api/v1/tasks/${encodeURIComponent(id)}/events/stream`));
    const heard = ({ data }) => {
      const { task } = JSON.parse(data);
      hear(rowOf(task), task);
    };
    for (const name of EVENTS) this.#stream.addEventListener(name, heard);
    let known = false;
    this.#stream.addEventListener("task", () => {
      known = true;
      store.setLink("live");
    });
    this.#stream.addEventListener("deleted", () => lost(new ApiError(404, "TASK_NOT_FOUND", DELETED)));
    this.#stream.addEventListener("error", () => {
      if (this.#stream.readyState !== EventSource.CLOSED) store.setLink("offline");
      else if (!known) lost(new ApiError(401, "UNAUTHORIZED", "This link has ended."));
    });
  }

  close() {
    this.#stream.close();
  }
}

/** A task as the dashboard's rows show one. */
export function rowOf(task) {
  const progress = task.progress ?? {};
  const ms = (text) => (text ? Date.parse(text) : undefined);
  const ended = { archived: task.error?.type === "cancelled" ? "cancelled" : "failed" };
  const at_ms = progress.timestamp_ms;
  const steps = task.steps ?? [];
  return {
    id: task.id, kind: task.type, queue: task.queue, title: task.title,
    state: ended[task.state] ?? STATES[task.state] ?? task.state,
    attempt: task.attempt ?? 0, attempts: task.max_retry + 1 + (task.crashes ?? 0),
    created_ms: ms(task.created_at), started_ms: ms(task.started_at), finished_ms: ms(task.finished_at),
    due_ms: ms(task.next_process_at), at_ms,
    percent: task.progress && !progress.indeterminate ? progress.percentage : undefined,
    current: progress.current, total: progress.total, unit: progress.unit ?? "",
    stage: progress.stage ?? "", message: progress.message ?? "", speed_bps: progress.speed_bps,
    ends_ms: progress.eta_seconds === undefined ? undefined : at_ms + 1000 * progress.eta_seconds,
    parts: steps.length > 1 && steps.length <= MOST_PARTS ? steps.map(partOf) : undefined,
    stalled: Boolean(task.stalled), cancelling: Boolean(task.cancelling), error: task.last_err ?? "",
  };
}

const partOf = ({ name, state, weight, percentage }) => ({ name, state, weight, percent: percentage });
