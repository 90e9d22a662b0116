// One stream of events from the server, opened again for as long as it is wanted.

import { url } from "./api.js";

const EVENTS = ["rows", "hello", "row", "gone", "beat", "goodbye"];
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 5_000;
const SILENT_BEATS = 2.5;

export class Feed {
  #source = null;
  #again = 0;
  #watchdog = 0;
  #wait_ms = FIRST_WAIT_MS;
  #beat_ms = 15_000;

  /** `hear(name, data, id)` takes what comes, `lost()` is called whenever the connection is gone. */
  constructor({ since, hear, lost }) {
    this.since = since;
    this.hear = hear;
    this.lost = lost;
    addEventListener("online", this.#sooner);
    document.addEventListener("visibilitychange", this.#sooner);
    this.#open();
  }

  close() {
    removeEventListener("online", this.#sooner);
    document.removeEventListener("visibilitychange", this.#sooner);
    clearTimeout(this.#again);
    this.#drop();
  }

  #open() {
    const address = url("-/feed");
    if (this.since) address.searchParams.set("since", this.since);
    this.#source = new EventSource(address);
    for (const name of EVENTS) this.#source.addEventListener(name, (event) => this.#take(name, event));
    this.#source.addEventListener("error", () => this.#retry());
    this.#watch();
  }

  #take(name, event) {
    if (event.lastEventId) this.since = event.lastEventId;
    if (name === "hello") {
      this.#wait_ms = FIRST_WAIT_MS;
      this.#beat_ms = 1000 * JSON.parse(event.data).heartbeat_s;
    }
    if (name === "hello" || name === "beat") this.#watch();
    this.hear(name, event.data, this.since);
  }

  /** A connection may be dead without a word: the server's beats are what tells. */
  #watch() {
    clearTimeout(this.#watchdog);
    this.#watchdog = setTimeout(() => this.#retry(), SILENT_BEATS * this.#beat_ms);
  }

  #retry() {
    this.#drop();
    this.lost();
    const jitter = 0.75 + Math.random() / 2;
    clearTimeout(this.#again);
    this.#again = setTimeout(() => this.#open(), this.#wait_ms * jitter);
    this.#wait_ms = Math.min(LONGEST_WAIT_MS, 1.6 * this.#wait_ms);
  }

  #sooner = () => {
    if (this.#source || document.hidden) return;
    clearTimeout(this.#again);
    this.#open();
  };

  #drop() {
    clearTimeout(this.#watchdog);
    this.#source?.close();
    this.#source = null;
  }
}
