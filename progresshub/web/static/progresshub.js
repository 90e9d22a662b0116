// Watches tasks of a progresshub server from any web page: `watch(id, callback)` and <progress-hub task="…">.
//
// A watcher outlives lost connections and restarts of the server: it comes again by itself and is told
// how the task stands. A page of another origin is named in the server's `server.allowed_origins`.

const HOME = new URL("./", import.meta.url).href;
const STREAMS = 4; // browsers open six connections to a server, and the page needs some for itself
const POLL_MS = 2_000;
const FIRST_PAUSE_MS = 500;
const LONGEST_PAUSE_MS = 30_000;
const SILENCE_MS = 45_000;
const STATES = { active: "running", retry: "retrying" };
const ENDS = new Set(["completed", "failed", "cancelled"]);

const watched = new Map();
const streaming = new Map();

/**
 * Calls `callback(status)` now and whenever something about the task changes, until it has ended or `close()` is
 * called on what this returns; its `done` is a promise of the last status.
 *
 * status: `{ id, title, kind, state, percent, stage, message, current, total, unit, speed, eta_s, stalled, error,
 * result, steps, ended, connected }`. `percent` is null while nobody knows; `state` is scheduled, pending, running,
 * retrying, completed, failed or cancelled, or "refused" (with `error`) where the server lets nobody watch.
 * `base` is the server's address, by default where this module comes from; `token` a token or a share's ticket.
 */
export function watch(id, callback, { base = HOME, token = "" } = {}) {
  const home = new URL(base.endsWith("/") ? base : `${base}/`, location.href).href;
  const key = JSON.stringify([home, token, id]);
  let watcher = watched.get(key);
  if (!watcher || watcher.status?.ended) watched.set(key, (watcher = new Watcher(home, token, id)));
  watcher.callbacks.add(callback);
  if (watcher.status) queueMicrotask(() => watcher.callbacks.has(callback) && callback(watcher.status));
  return {
    done: watcher.done,
    close() {
      watcher.callbacks.delete(callback);
      if (watcher.callbacks.size) return;
      watcher.stop();
      if (watched.get(key) === watcher) watched.delete(key);
    },
  };
}

class Watcher {
  callbacks = new Set();
  status = null;
  done = new Promise((resolve) => (this.ended = resolve));
  #base;
  #address;
  #headers;
  #abort = new AbortController();
  #pause_ms = FIRST_PAUSE_MS;
  #seen = "";

  constructor(base, token, id) {
    this.id = id;
    this.#base = base;
    this.#address = `${base}api/v1/tasks/${encodeURIComponent(id)}`;
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
    this.#run();
  }

  stop() {
    this.#abort.abort();
  }

  async #run() {
    while (!this.#abort.signal.aborted && !this.status?.ended) {
      const open = streaming.get(this.#base) ?? 0;
      try {
        if (open < STREAMS) await this.#stream(open);
        else await this.#look();
      } catch {
        if (this.#abort.signal.aborted || this.status?.ended) return;
        if (this.status) this.#tell({ ...this.status, connected: false });
        await this.#rest(this.#pause_ms * (0.75 + Math.random() / 2));
        this.#pause_ms = Math.min(2 * this.#pause_ms, LONGEST_PAUSE_MS);
      }
    }
  }

  async #stream(open) {
    streaming.set(this.#base, open + 1);
    const quiet = new AbortController();
    let timer = 0;
    const heard = () => {
      clearTimeout(timer);
      timer = setTimeout(() => quiet.abort(), SILENCE_MS);
    };
    try {
      heard();
      const signal = AbortSignal.any([this.#abort.signal, quiet.signal]);
      const response = await this.#ask("/events/stream", signal, this.#seen ? { "Last-Event-ID": this.#seen } : {});
      if (response.status === 204) return await this.#look();
      const lines = new Lines();
      for await (const data of chunks(response.body)) {
        heard();
        this.#pause_ms = FIRST_PAUSE_MS;
        for (const frame of lines.frames(data)) this.#hear(frame);
      }
      if (!this.status?.ended) throw new Error("the stream has ended, and the task has not");
    } finally {
      clearTimeout(timer);
      streaming.set(this.#base, streaming.get(this.#base) - 1);
    }
  }

  async #look() {
    const task = await (await this.#ask("", this.#abort.signal)).json();
    this.#pause_ms = FIRST_PAUSE_MS;
    this.#tell(statusOf(task));
    if (!this.status.ended) await this.#rest(POLL_MS);
  }

  async #ask(path, signal, headers = {}) {
    const credentials = this.#headers.Authorization ? "omit" : "same-origin";
    const response = await fetch(this.#address + path, {
      signal, credentials, cache: "no-store", headers: { ...this.#headers, ...headers },
    });
    if ([400, 401, 403, 404, 421].includes(response.status)) await this.#refused(response);
    if (!response.ok) throw new Error(`the server answered ${response.status}`);
    return response;
  }

  async #refused(response) {
    const said = await response.json().catch(() => ({}));
    const error = said.message ?? said.error ?? `The server answered ${response.status}.`;
    this.#tell({ ...(this.status ?? blank(this.id)), state: "refused", error, ended: true, connected: true });
    throw new Error(error);
  }

  #hear({ name, data, id }) {
    if (!data) return;
    if (id) this.#seen = id;
    if (name === "deleted") this.#tell({ ...this.status, state: "refused", error: "The task was deleted.", ended: true });
    else this.#tell(statusOf(JSON.parse(data).task));
  }

  #tell(status) {
    this.status = status;
    for (const callback of [...this.callbacks]) {
      try {
        callback(status);
      } catch (error) {
        reportError(error);
      }
    }
    if (status.ended) this.ended(status);
  }

  #rest(ms) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      this.#abort.signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
    });
  }
}

/** Takes a stream of server-sent events apart, wherever its pieces are cut. */
class Lines {
  #decoder = new TextDecoder();
  #rest = "";

  *frames(data) {
    const blocks = (this.#rest + this.#decoder.decode(data, { stream: true })).split("\n\n");
    this.#rest = blocks.pop();
    for (const block of blocks) {
      const frame = { name: "message", data: "", id: "" };
      for (const line of block.split("\n")) {
        const [, field, text] = /^(event|data|id): ?(.*)$/.exec(line) ?? [];
        if (field) frame[field === "event" ? "name" : field] = text;
      }
      yield frame;
    }
  }
}

async function* chunks(stream) {
  const reader = stream.getReader();
  try {
    for (let part = await reader.read(); !part.done; part = await reader.read()) yield part.value;
  } finally {
    reader.cancel().catch(() => {});
  }
}

const blank = (id) => ({
  id, title: "", kind: "", state: "pending", percent: null, stage: "", message: "", current: null, total: null,
  unit: "", speed: null, eta_s: null, stalled: false, error: "", result: null, steps: [], ended: false, connected: true,
});

function statusOf(task) {
  const progress = task.progress ?? {};
  const state = task.state === "archived" ? endOf(task) : (STATES[task.state] ?? task.state);
  const known = task.progress && !progress.indeterminate;
  return {
    ...blank(task.id),
    title: task.title ?? "",
    kind: task.type,
    state,
    percent: state === "completed" ? 100 : known ? progress.percentage : null,
    stage: progress.stage ?? "",
    message: progress.message ?? "",
    current: progress.current ?? null,
    total: progress.total ?? null,
    unit: progress.unit ?? "",
    speed: progress.speed_bps ?? null,
    eta_s: progress.eta_seconds ?? null,
    stalled: Boolean(task.stalled),
    error: task.last_err ?? "",
    result: task.result ?? null,
    steps: task.steps ?? [],
    ended: ENDS.has(state),
  };
}

const endOf = (task) => (task.error?.type === "cancelled" ? "cancelled" : "failed");

const WORDS = {
  scheduled: "Scheduled", pending: "Waiting", running: "Running", retrying: "Will be tried again",
  completed: "Done", failed: "Failed", cancelled: "Cancelled", refused: "Not to be seen",
};

const STYLE = `
:host { --_ink: var(--progress-hub-ink, #1c2430); --_quiet: #4a5565; --_track: var(--progress-hub-track, #dfe5ed);
  --_fill: var(--progress-hub-fill, #2563eb); --_done: #15803d; --_failed: #b3261e; --_stalled: #9a5b00;
  display: block; font: 14px/1.4 system-ui, sans-serif; color: var(--_ink); min-width: 8em }
@media (prefers-color-scheme: dark) { :host(:not([theme="light"])) { --_ink: var(--progress-hub-ink, #e8edf4);
  --_quiet: #a9b4c2; --_track: var(--progress-hub-track, #2b3440); --_fill: var(--progress-hub-fill, #6ea8ff);
  --_done: #4ade80; --_failed: #ff8a80; --_stalled: #f0b04a } }
:host([theme="dark"]) { --_ink: var(--progress-hub-ink, #e8edf4); --_quiet: #a9b4c2;
  --_track: var(--progress-hub-track, #2b3440); --_fill: var(--progress-hub-fill, #6ea8ff);
  --_done: #4ade80; --_failed: #ff8a80; --_stalled: #f0b04a }
:host([hidden]) { display: none }
.words { display: flex; gap: 1em; justify-content: space-between }
.title { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; min-width: 0 }
.state { color: var(--_quiet); white-space: nowrap; font-variant-numeric: tabular-nums }
.track { height: .5em; margin-top: .3em; border-radius: 1em; background: var(--_track); overflow: hidden }
.fill { height: 100%; border-radius: 1em; background: var(--_fill); transition: width .3s }
.completed .fill { background: var(--_done) } .failed .fill, .refused .fill { background: var(--_failed) }
.cancelled .fill { background: var(--_quiet) } .stalled .fill { background: var(--_stalled) }
.unknown .fill { width: 33% !important; animation: sweep 1.4s ease-in-out infinite alternate }
.offline { opacity: .6 }
@keyframes sweep { to { transform: translateX(200%) } }
@media (prefers-reduced-motion: reduce) { .fill { transition: none } .unknown .fill { animation: none; width: 100% !important; opacity: .4 } }
@media (forced-colors: active) { .track { border: 1px solid } .fill { background: Highlight } }
`;
let sheet = null;

/**
 * `<progress-hub task="…" base="…" token="…" theme="light|dark">`: a bar with the task's title and state. It
 * dispatches `progress` for each change and `done` at the end, with the status as `detail`.
 */
class ProgressHub extends HTMLElement {
  static observedAttributes = ["task", "base", "token"];
  #watching = null;
  #parts = null;

  connectedCallback() {
    this.#begin();
  }

  disconnectedCallback() {
    this.#end();
  }

  attributeChangedCallback() {
    if (this.isConnected) this.#begin();
  }

  #begin() {
    this.#end();
    this.#parts ??= this.#build();
    const id = this.getAttribute("task");
    if (!id) return;
    const given = { token: this.getAttribute("token") ?? "" };
    if (this.hasAttribute("base")) given.base = this.getAttribute("base");
    this.#watching = watch(id, (status) => this.#show(status), given);
  }

  #end() {
    this.#watching?.close();
    this.#watching = null;
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync(STYLE);
    }
    root.adoptedStyleSheets = [sheet];
    const [whole, words, title, state, track, fill] = ["div", "div", "span", "span", "div", "div"].map((tag) =>
      document.createElement(tag),
    );
    title.dir = "auto";
    for (const [name, element] of Object.entries({ words, title, state, track, fill })) {
      element.className = name;
      element.part = name;
    }
    track.role = "progressbar";
    track.ariaValueMin = "0";
    track.ariaValueMax = "100";
    track.ariaLabel = "Progress";
    words.append(title, state);
    track.append(fill);
    whole.append(words, track);
    root.append(whole);
    return { whole, title, state, track, fill };
  }

  #show(status) {
    const { whole, title, state, track, fill } = this.#parts;
    const unknown = status.state === "running" && status.percent === null;
    const word = wordOf(status);
    whole.className = [
      status.state, status.stalled && "stalled", unknown && "unknown", !status.connected && "offline",
    ].filter(Boolean).join(" ");
    title.textContent = status.title || status.kind;
    title.title = title.textContent;
    state.textContent = status.connected ? word : `${word} · offline`;
    state.title = status.error || status.message;
    track.ariaLabel = title.textContent || "Progress";
    track.ariaValueNow = unknown ? null : String(status.percent ?? 0);
    track.ariaValueText = word;
    fill.style.width = `${status.percent ?? 0}%`;
    this.dispatchEvent(new CustomEvent("progress", { detail: status }));
    if (status.ended) this.dispatchEvent(new CustomEvent("done", { detail: status }));
  }
}

function wordOf(status) {
  if (status.state !== "running") return WORDS[status.state] ?? status.state;
  const percent = status.percent === null ? "" : `${status.percent} %`;
  const left = status.stalled ? "stalled" : status.eta_s === null ? "" : `${leftOf(status.eta_s)} left`;
  return [percent, left].filter(Boolean).join(" · ") || status.stage || WORDS.running;
}

function leftOf(seconds) {
  if (seconds < 60) return `${Math.ceil(seconds)} s`;
  return seconds < 3_600 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3_600).toFixed(1)} h`;
}

if (!customElements.get("progress-hub")) customElements.define("progress-hub", ProgressHub);
