// What the page knows: the newest row of every task it has heard of.
//
// Rows come in any order and more than once; the newer one of two wins. Whoever watches hears at
// most once a frame, and of everything that changed since.

export const FINAL = new Set(["completed", "failed", "cancelled"]);
export const MOST = 10_000;
const SPARE = 1_000;

/**
 * Events: `link` when the connection's state has changed, `session` when somebody logged in or out in another tab, `moved` when a task's state has, with
 * `detail` `{ row, from }` (`from` is undefined for a task that is new to the page).
 */
export class Store extends EventTarget {
  /** connecting, live, behind, offline or login */
  link = "connecting";
  /** What whoever looks may do: read, submit, command, admin. */
  scopes = new Set();
  /** Whether every task there is has been loaded, and how many there are. */
  complete = false;
  total = 0;
  /** Grows whenever a row changes. */
  changes = 0;

  #rows = new Map();
  #watchers = new Set();
  #changed = new Set();
  #reshaped = false;
  #frame = 0;
  #census = null;
  #ahead_ms = 0;

  get size() {
    return this.#rows.size;
  }

  get(id) {
    return this.#rows.get(id);
  }

  rows() {
    return this.#rows.values();
  }

  may(scope) {
    return this.scopes.has(scope);
  }

  /** The server's time. */
  now() {
    return Date.now() + this.#ahead_ms;
  }

  /** `heard({ ids, reshaped })`: which rows changed, and whether one came, went, or may belong elsewhere. */
  watch(heard) {
    this.#watchers.add(heard);
    return () => this.#watchers.delete(heard);
  }

  setLink(link) {
    if (this.link === link) return;
    this.link = link;
    this.dispatchEvent(new Event("link"));
  }

  greet({ now_ms, total }) {
    this.#ahead_ms = now_ms - Date.now();
    this.total = total;
  }

  apply(row, { quietly = false } = {}) {
    const known = this.#rows.get(row.id);
    this.#census?.seen.add(row.id);
    if (this.#census?.gone.has(row.id)) return;
    if (known && !isNewer(row.changed, known.changed)) return;
    this.#rows.set(row.id, row);
    if (!known && !quietly) this.total += 1;
    this.#note(row.id, !known || known.state !== row.state || known.title !== row.title);
    if (known?.state !== row.state && !quietly) {
      this.dispatchEvent(new CustomEvent("moved", { detail: { row, from: known?.state } }));
    }
    if (this.#rows.size > MOST + SPARE) this.#shed();
  }

  remove(id) {
    this.#census?.gone.add(id);
    this.total -= 1;
    if (this.#rows.delete(id)) this.#note(id, true);
  }

  /** Begins to list everything anew; what `end` then finds neither listed nor heard of is forgotten. */
  beginCensus() {
    this.#census = { seen: new Set(), gone: new Set() };
    return this.#census;
  }

  endCensus(census, { complete, lowest }) {
    if (this.#census !== census) return;
    this.#census = null;
    this.complete = complete;
    for (const row of [...this.#rows.values()]) {
      if (census.seen.has(row.id) || (!complete && row.seq < lowest && !FINAL.has(row.state))) continue;
      this.#rows.delete(row.id);
      this.#note(row.id, true);
    }
    this.#note(null, true);
  }

  forgetAll() {
    this.#rows.clear();
    this.#note(null, true);
  }

  #shed() {
    const ended = [...this.#rows.values()].filter((row) => FINAL.has(row.state)).sort((a, b) => a.seq - b.seq);
    for (const row of ended.slice(0, SPARE)) {
      this.#rows.delete(row.id);
      this.#note(row.id, true);
    }
    this.complete = false;
  }

  #note(id, reshaped) {
    this.changes += 1;
    if (id !== null) this.#changed.add(id);
    this.#reshaped ||= reshaped;
    this.#frame ||= requestAnimationFrame(() => this.#tell());
  }

  #tell() {
    const news = { ids: this.#changed, reshaped: this.#reshaped };
    this.#frame = 0;
    this.#changed = new Set();
    this.#reshaped = false;
    for (const heard of [...this.#watchers]) heard(news);
  }
}

/** Whether one event id, `<ms>-<n>`, is later than another. */
export function isNewer(one, other) {
  const [ms, n] = one.split("-");
  const [otherMs, otherN] = other.split("-");
  return ms === otherMs ? Number(n) > Number(otherN) : Number(ms) > Number(otherMs);
}
