// A task's log on its page: the end first, more upward as one scrolls, what is added as it comes.
//
// Its size on the page is bounded; what goes at the top is read again when it is looked for.

import { parts } from "./ansi.js";
import { h, put, say } from "./dom.js";
import { LogFile } from "./logfile.js";
import { Finder } from "./search.js";

const POLL_MS = 1_000;
const MOST_LINES = 10_000;
const NEAR_PX = 240;

export class LogView {
  #file;
  #live;
  #lines = h("div", { class: "lines" });
  #open = h("div", { class: "line open", dir: "auto" });
  #box = h("div", { class: "log-box", role: "log", "aria-live": "off", "aria-label": "Log", tabindex: "0" });
  #size = h("span", { class: "soft bytes" });
  #earlier = h("button", { type: "button", class: "button earlier", text: "Earlier lines", hidden: true });
  #follow = h("button", { type: "button", class: "button", "aria-pressed": "true", text: "Follow" });
  #empty = h("p", { class: "soft none", text: "Nothing has been printed." });
  #bytes = [];
  #style;
  #timer = 0;
  #closed = false;
  #busy = false;
  #scrolledTo = 0;
  #finder;
  #resized = new ResizeObserver(() => this.#following && this.#setFollowing(true));

  /** `live()` says whether more is to be expected. */
  constructor(id, live) {
    this.#file = new LogFile(id);
    this.#live = live;
    this.#finder = new Finder(this.#lines, () => this.#whole(), (line) => this.#reach(line));
    const name = `task-${id.slice(0, 8)}.log`;
    this.element = h(
      "section", { class: "card log", id: "log", "aria-labelledby": "log-title" },
      h(
        "div", { class: "bar-of-tools" },
        h("h2", { id: "log-title", text: "Log" }), this.#size, this.#finder.element, this.#follow,
        h("button", { type: "button", class: "button", "aria-pressed": "true", text: "Wrap", onclick: (e) => this.#wrap(e.target) }),
        h("a", { class: "button", href: this.#file.address, download: name, text: "Download" }),
      ),
      this.#box,
    );
    this.#box.append(this.#earlier, this.#empty, this.#lines, this.#open);
    this.#earlier.addEventListener("click", () => this.#upward());
    this.#box.addEventListener("scroll", () => this.#scrolled(), { passive: true });
    this.#follow.addEventListener("click", () => this.#setFollowing(!this.#following));
    this.#resized.observe(this.#box);
    this.#begin();
  }

  focus() {
    this.element.scrollIntoView({ block: "start" });
    this.#box.focus({ preventScroll: true });
  }

  close() {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#resized.disconnect();
    this.#finder.close();
  }

  get #following() {
    return this.#follow.getAttribute("aria-pressed") === "true";
  }

  async #begin() {
    try {
      this.#append(await this.#file.tail());
    } catch (error) {
      say(this.#empty, error.message);
    }
    this.#later(this.#live() ? POLL_MS : 0);
  }

  #later(wait_ms) {
    if (!this.#closed) this.#timer = setTimeout(() => this.#poll(), wait_ms);
  }

  /** Once more after the end, for what was printed last. */
  async #poll() {
    const live = this.#live();
    let grew = false;
    try {
      if (!document.hidden) {
        const before = this.#file.end;
        this.#append(await this.#file.later());
        grew = this.#file.end > before;
      }
    } catch {
      // The server is away; it is asked again.
    }
    if (live || grew || document.hidden) this.#later(grew && this.#file.end < this.#file.size ? 0 : POLL_MS);
  }

  #append(lines) {
    if (this.#closed) return;
    for (const line of lines) {
      const { parts: shown, style } = parts(line.text, this.#style);
      this.#style = style;
      this.#lines.append(drawn(shown));
      this.#bytes.push(line.bytes);
    }
    this.#open.replaceChildren(...drawn(parts(this.#file.open, this.#style).parts).childNodes);
    if (this.#following) this.#shed();
    this.#told();
    if (this.#following) this.#box.scrollTop = this.#box.scrollHeight;
    if (lines.length) this.#finder.renew();
  }

  /** Lets go of the oldest lines, which can be read again. */
  #shed() {
    const many = this.#bytes.length - MOST_LINES;
    if (many <= 0) return;
    this.#file.forget(this.#bytes.splice(0, many).reduce((sum, bytes) => sum + bytes, 0));
    const range = document.createRange();
    range.setStart(this.#lines, 0);
    range.setEnd(this.#lines, many);
    range.deleteContents();
  }

  #told() {
    const { size, top } = this.#file;
    this.#empty.hidden = size > 0;
    this.#earlier.hidden = top === 0 || this.#bytes.length >= MOST_LINES;
    say(this.#size, size ? `${size.toLocaleString()} bytes` : "");
  }

  async #upward() {
    if (this.#busy || this.#file.top === 0 || this.#bytes.length >= MOST_LINES) return false;
    this.#busy = true;
    try {
      const lines = await this.#file.earlier();
      if (this.#closed) return false;
      const below = this.#box.scrollHeight - this.#box.scrollTop;
      let style;
      const made = lines.map((line) => {
        const read = parts(line.text, style);
        style = read.style;
        return drawn(read.parts);
      });
      this.#lines.prepend(...made);
      this.#bytes.unshift(...lines.map((line) => line.bytes));
      this.#told();
      this.#box.scrollTop = this.#box.scrollHeight - below;
      return true;
    } catch {
      return false;
    } finally {
      this.#busy = false;
    }
  }

  /** All of it, as far as it is kept on the page, so that it can be searched. */
  async #whole() {
    while (!this.#closed && (await this.#upward()));
  }

  #reach(line) {
    this.#setFollowing(false);
    line.scrollIntoView({ block: "center" });
  }

  #scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.#box;
    const atEnd = scrollHeight - scrollTop - clientHeight < 24;
    const upward = scrollTop < this.#scrolledTo;
    this.#scrolledTo = scrollTop;
    if (atEnd || upward) put(this.#follow, "aria-pressed", String(atEnd));
    if (upward && scrollTop < NEAR_PX) this.#upward();
  }

  #setFollowing(on) {
    put(this.#follow, "aria-pressed", String(on));
    if (on) this.#box.scrollTop = this.#box.scrollHeight;
  }

  #wrap(button) {
    const on = button.getAttribute("aria-pressed") !== "true";
    put(button, "aria-pressed", String(on));
    this.#box.classList.toggle("flat", !on);
  }
}

function drawn(shown) {
  const spans = shown.map(({ text, names }) => (names ? h("span", { class: names, text }) : text));
  return h("div", { class: "line", dir: "auto" }, ...spans);
}
