// What a task has made: its files, played where a browser can, and its result.

import { getJson, url } from "./api.js";
import { h, say } from "./dom.js";
import { size } from "./format.js";

const MOST_FILES = 200;
const MOST_CHARS = 200_000;
const PLAYED = {
  audio: ["mp3", "m4a", "aac", "ogg", "oga", "opus", "wav", "flac", "weba"],
  video: ["mp4", "m4v", "webm", "ogv", "mov"],
  img: ["png", "jpg", "jpeg", "gif", "webp", "avif", "svg"],
};
const MOST_PLAYERS = 24;

export class Result {
  #id;
  #heard = "";
  #files = h("ul", { class: "files" });
  #json = h("pre", { class: "json", tabindex: "0", "aria-label": "Result" });
  #closed = false;

  constructor(id) {
    this.#id = id;
    this.element = h(
      "section", { class: "card result", "aria-labelledby": "result-title", hidden: true },
      h("h2", { id: "result-title", text: "Result" }), this.#files, this.#json,
    );
  }

  /** Looks for files when the task stands differently; returns them, newest known. */
  async show(row, task) {
    const text = task.result === null || task.result === undefined ? "" : JSON.stringify(task.result, null, 2);
    say(this.#json, text.length > MOST_CHARS ? `${text.slice(0, MOST_CHARS)}\n…` : text);
    this.#json.hidden = !text;
    this.element.hidden = !text && !this.#files.childElementCount;
    const shape = `${row.state} ${row.attempt} ${row.done}`;
    if (shape === this.#heard) return null;
    this.#heard = shape;
    const { files } = await getJson(`api/v1/tasks/${encodeURIComponent(this.#id)}/files`);
    if (this.#closed) return null;
    this.#list(files);
    this.element.hidden = !text && !files.length;
    return files;
  }

  close() {
    this.#closed = true;
    for (const player of this.#files.querySelectorAll("audio, video")) player.pause();
  }

  #list(files) {
    const known = new Set([...this.#files.children].map((item) => item.dataset.key));
    const wanted = new Map(files.slice(0, MOST_FILES).map((file) => [`${file.name} ${file.size} ${file.modified_at}`, file]));
    for (const item of [...this.#files.children]) if (!wanted.has(item.dataset.key)) item.remove();
    let players = this.#files.querySelectorAll("audio, video, img").length;
    for (const [key, file] of wanted) {
      if (known.has(key)) continue;
      const player = players < MOST_PLAYERS ? playerOf(file) : null;
      if (player) players += 1;
      this.#files.append(itemOf(file, key, player));
    }
    if (files.length > MOST_FILES) this.#files.append(h("li", { class: "soft", text: `and ${files.length - MOST_FILES} more` }));
  }
}

export const addressOf = (file) => url(file.url.replace(/^\//, "")).href;

function itemOf(file, key, player) {
  const item = h(
    "li", {},
    h("span", { class: "file-name", dir: "auto", text: file.name }), h("span", { class: "soft", text: size(file.size) }),
    h("a", {
      class: "button", href: addressOf(file), download: file.name.split("/").at(-1), text: "Save",
      "aria-label": `Save ${file.name}`,
    }),
    player && h("div", { class: "player" }, player),
  );
  item.dataset.key = key;
  return item;
}

function playerOf(file) {
  const ending = file.name.split(".").at(-1).toLowerCase();
  const tag = Object.keys(PLAYED).find((kind) => PLAYED[kind].includes(ending));
  const src = addressOf(file);
  if (!tag || !file.size) return null;
  if (tag === "img") return h("img", { src, alt: file.name, loading: "lazy" });
  return h(tag, { src, controls: true, preload: "metadata", "aria-label": file.name });
}
