// A task's log by byte ranges: its end first, then upward and onward, always in whole lines where there are any.

import { request } from "./api.js";

const WINDOW = 65_536;
const ONWARD = 4 * WINDOW;
const NEWLINE = 10;

/** Lines are `{ text, bytes }`; `bytes` counts the line break as well. */
export class LogFile {
  /** Where the first line that was given out begins, how far it was read, and how long the log is. */
  top = 0;
  end = 0;
  size = 0;
  #path;
  #open = new Uint8Array();

  constructor(id) {
    this.#path = `api/v1/tasks/${encodeURIComponent(id)}/logs`;
  }

  get address() {
    return this.#path;
  }

  /** The line that has no end yet. */
  get open() {
    return text(this.#open);
  }

  async tail() {
    this.size = Number((await request(this.#path, { method: "HEAD" })).headers.get("X-Log-Size"));
    const start = Math.max(0, this.size - WINDOW);
    const read = await this.#read(start, WINDOW);
    const data = start ? fromLine(read) : read;
    this.top = start + read.length - data.length;
    this.end = start + read.length;
    return this.#whole(data);
  }

  async earlier() {
    const from = Math.max(0, this.top - WINDOW);
    const read = await this.#read(from, this.top - from);
    const data = from ? fromLine(read) : read;
    this.top = from + read.length - data.length;
    const { lines, rest } = split(data);
    return rest.length ? [...lines, { text: text(rest), bytes: rest.length }] : lines;
  }

  async later() {
    const read = await this.#read(this.end, ONWARD);
    this.end += read.length;
    return this.#whole(joined(this.#open, read));
  }

  /** Forgets lines at the beginning, to be read again by `earlier`. */
  forget(bytes) {
    this.top += bytes;
  }

  #whole(data) {
    const { lines, rest } = split(data);
    this.#open = rest.length > ONWARD ? rest.slice(-WINDOW) : rest;
    return lines;
  }

  async #read(offset, limit) {
    if (limit <= 0) return new Uint8Array();
    const response = await request(`${this.#path}?offset=${offset}&limit=${limit}`);
    this.size = Number(response.headers.get("X-Log-Size"));
    return new Uint8Array(await response.arrayBuffer());
  }
}

/** What follows the first line break; all of it where there is none. */
function fromLine(data) {
  const at = data.indexOf(NEWLINE);
  return at < 0 ? data : data.subarray(at + 1);
}

function split(data) {
  const lines = [];
  let start = 0;
  for (let at = data.indexOf(NEWLINE); at >= 0; at = data.indexOf(NEWLINE, start)) {
    lines.push({ text: text(data.subarray(start, at)), bytes: at + 1 - start });
    start = at + 1;
  }
  return { lines, rest: data.slice(start) };
}

function joined(one, other) {
  const whole = new Uint8Array(one.length + other.length);
  whole.set(one);
  whole.set(other, one.length);
  return whole;
}

const decoder = new TextDecoder();
const text = (data) => decoder.decode(data);
