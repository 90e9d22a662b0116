// Finds a text in the lines of a log and marks it, without changing the page's elements.

import { h, say } from "./dom.js";

const MOST = 2_000;
const PAUSE_MS = 250;

export class Finder {
  #lines;
  #prepare;
  #reach;
  #found = [];
  #at = -1;
  #timer = 0;
  #prepared = false;
  #field = h("input", { type: "search", "aria-label": "Search the log", placeholder: "Search", spellcheck: "false" });
  #count = h("output", { class: "soft count" });

  /** `prepare()` loads what can be searched, `reach(line)` brings a line into view. */
  constructor(lines, prepare, reach) {
    this.#lines = lines;
    this.#prepare = prepare;
    this.#reach = reach;
    this.element = h("div", { class: "finder", role: "search" }, this.#field, this.#count);
    this.#field.addEventListener("input", () => this.#soon());
    this.#field.addEventListener("keydown", (event) => this.#key(event));
  }

  focus() {
    this.#field.focus();
  }

  close() {
    clearTimeout(this.#timer);
    mark([], null);
  }

  /** Looks again, because lines have come. */
  renew() {
    if (this.#field.value) this.#soon();
  }

  #soon() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), PAUSE_MS);
  }

  async #look() {
    const wanted = this.#field.value.toLowerCase();
    if (wanted && !this.#prepared) {
      this.#prepared = true;
      await this.#prepare();
    }
    const before = this.#found[this.#at]?.startContainer;
    this.#found = wanted ? rangesOf(this.#lines, wanted) : [];
    this.#at = this.#found.findIndex((range) => range.startContainer === before);
    this.#tell();
  }

  #key(event) {
    if (event.key === "Enter") {
      event.preventDefault();
      this.#step(event.shiftKey ? 1 : -1);
    } else if (event.key === "Escape") {
      this.#field.value = "";
      this.#soon();
    }
  }

  /** The newest is the first that is wanted of a log, so one goes upward. */
  #step(by) {
    const many = this.#found.length;
    if (!many) return;
    this.#at = this.#at < 0 ? many - 1 : (this.#at + by + many) % many;
    const node = this.#found[this.#at].startContainer;
    this.#reach(node.parentElement.closest(".line"));
    this.#tell();
  }

  #tell() {
    const many = this.#found.length;
    const all = many === MOST ? `${MOST} and more` : String(many);
    say(this.#count, this.#field.value ? (this.#at < 0 ? all : `${this.#at + 1} of ${all}`) : "");
    mark(this.#found, this.#found[this.#at] ?? null);
  }
}

function mark(all, one) {
  if (!globalThis.CSS?.highlights) return;
  CSS.highlights.set("found", new Highlight(...all));
  CSS.highlights.set("found-now", one ? new Highlight(one) : new Highlight());
}

function rangesOf(lines, wanted) {
  const found = [];
  const walker = document.createTreeWalker(lines, NodeFilter.SHOW_TEXT);
  while (walker.nextNode() && found.length < MOST) {
    const text = walker.currentNode.data.toLowerCase();
    for (let at = text.indexOf(wanted); at >= 0 && found.length < MOST; at = text.indexOf(wanted, at + wanted.length)) {
      const range = new Range();
      range.setStart(walker.currentNode, at);
      range.setEnd(walker.currentNode, Math.min(at + wanted.length, walker.currentNode.length));
      found.push(range);
    }
  }
  return found;
}
