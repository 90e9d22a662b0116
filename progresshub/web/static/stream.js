// The live feed, once for all tabs of a browser: one of them holds the connection and tells the others.
//
// Web Locks choose the tab, and choose again when it is closed. Where a browser has none (it wants
// https for them, or this machine itself) each tab has a connection of its own while it is looked at.

import { getJson, session } from "./api.js";
import { Feed } from "./feed.js";
import { MOST } from "./store.js";

const NAME = `progresshub:${new URL(document.baseURI).pathname}`;
const PAGE = 1_000;
/** So long a tab waits for a word from the one that has the connection. */
const UNHEARD_MS = 1_000;
const BEHIND_MS = 5_000;

/** Keeps the store up to date, from `start` until the page is left. */
export class Stream {
  #store;
  #channel = new BroadcastChannel(NAME);
  #feed = null;
  #since = "";
  #started = false;
  #leads = false;
  #filling = null;

  constructor(store) {
    this.#store = store;
    this.#channel.addEventListener("message", ({ data }) => this.#told(data));
  }

  start() {
    if (this.#started) return;
    this.#started = true;
    if (navigator.locks) {
      navigator.locks.request(NAME, () => this.#lead());
      this.#channel.postMessage({ ask: true });
      setTimeout(() => this.#filling || this.#fill(), UNHEARD_MS);
      return;
    }
    document.addEventListener("visibilitychange", () => this.#alone());
    this.#alone();
  }

  /** After a login or logout: begin anew with what may be seen now, in all tabs. */
  restart() {
    this.#channel.postMessage({ again: true });
    this.#again();
  }

  #again() {
    if (!this.#started) return;
    this.#since = "";
    if (this.#feed) {
      this.#feed.close();
      this.#connect();
    }
    this.#fill();
  }

  /** Holds the lock for as long as this page lives. */
  #lead() {
    this.#leads = true;
    this.#connect();
    return new Promise(() => {});
  }

  #alone() {
    if (document.hidden) {
      this.#feed?.close();
      this.#feed = null;
    } else if (!this.#feed) this.#connect();
  }

  #connect() {
    this.#feed = new Feed({
      since: this.#since,
      hear: (name, data, id) => {
        this.#hear(name, data, id);
        if (this.#leads) this.#channel.postMessage({ name, data, id });
      },
      lost: () => this.#lost(),
    });
  }

  #told({ ask, again, name, data, id, link }) {
    if (!this.#started) {
      if (again) this.#store.dispatchEvent(new Event("session"));
    } else if (ask) {
      if (this.#leads) this.#channel.postMessage({ link: this.#store.link });
    } else if (again) {
      this.#again();
      this.#store.dispatchEvent(new Event("session"));
    } else if (link) {
      this.#store.setLink(link);
      if (!this.#filling) this.#fill();
    } else {
      this.#hear(name, data, id);
    }
  }

  #hear(name, data, id) {
    if (id) this.#since = id;
    const told = JSON.parse(data);
    if (name === "row") {
      this.#store.apply(told);
      this.#store.setLink(this.#age_ms(told) > BEHIND_MS ? "behind" : "live");
    } else if (name === "rows") {
      for (const row of told) this.#store.apply(row, { quietly: true });
    } else if (name === "gone") {
      this.#store.remove(told.id);
    } else if (name === "hello") {
      this.#greet(told);
    } else if (name === "beat") {
      this.#store.setLink("live");
    } else if (name === "goodbye") {
      this.#store.setLink("offline");
    }
  }

  #greet(told) {
    this.#store.greet(told);
    this.#store.setLink("live");
    const whole = this.#store.complete && this.#store.size === told.total;
    if (!told.resumed || !whole) this.#fill();
  }

  #age_ms(row) {
    return this.#store.now() - Number(row.changed.split("-")[0]);
  }

  /** The connection is gone: because nobody is there, or because it was for somebody who was logged in? */
  async #lost() {
    const link = await session().then(
      ({ scopes }) => (scopes.includes("read") ? "connecting" : "login"),
      () => "offline",
    );
    this.#store.setLink(link);
    if (this.#leads) this.#channel.postMessage({ link });
  }

  /** Lists what there is, newest first, as far as the page keeps it. */
  async #fill() {
    const census = this.#store.beginCensus();
    this.#filling = census;
    let before = null;
    let lowest = Infinity;
    let count = 0;
    try {
      do {
        const page = await getJson(`-/rows?limit=${PAGE}${before === null ? "" : `&before=${before}`}`);
        if (this.#filling !== census) return;
        for (const row of page.rows) {
          this.#store.apply(row, { quietly: true });
          lowest = Math.min(lowest, row.seq);
        }
        this.#store.total = page.total;
        count += page.rows.length;
        before = page.before;
      } while (before !== null && count < MOST);
      this.#store.endCensus(census, { complete: before === null, lowest });
    } catch {
      // When the server is there again, it says hello, and the list is fetched then.
    }
  }
}
