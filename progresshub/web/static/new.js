// A new task: which type, and the form that its schema makes.

import { getJson } from "./api.js";
import { h, say } from "./dom.js";
import { dropped } from "./drop.js";
import { fieldOf, isUpload } from "./form.js";
import { go } from "./router.js";
import { submit } from "./submit.js";

const FIRST = ["download", "audio", "video", "command", "pipeline", "python", "demo"];
const TITLES = { download: "Download", audio: "Take a song apart", video: "Make a film", command: "Run a command", pipeline: "Run a pipeline" };
const MORE = {
  properties: {
    title: { type: "string", description: "How it is called in the list" },
    queue: { type: "string", description: "Where it waits" },
    priority: { type: "integer", minimum: 0, maximum: 9, description: "Higher ones go first" },
    max_retries: { type: "integer", minimum: 0, description: "After failures" },
    timeout: { type: "string", description: "For one attempt, such as 30s or 1h30m" },
    process_at: { type: "string", description: "Not before" },
  },
};

export function show(root, route) {
  document.title = "New task · progresshub";
  const page = new NewTask(root, route.query);
  return { close: () => page.close(), changed: ({ query }) => page.prefill(query) };
}

class NewTask {
  #types = [];
  #queues = [];
  #chosen = "";
  #payload = null;
  #more = fieldOf(MORE);
  #abort = new AbortController();
  #choices = h("div", { class: "choices", role: "radiogroup", "aria-label": "Type of task" });
  #about = h("p", { class: "soft" });
  #fields = h("div", {});
  #refusal = h("p", { class: "refusal", role: "alert" });
  #bar = h("progress", { hidden: true, max: 1, "aria-label": "Upload" });
  #send = h("button", { class: "button main", text: "Start", disabled: true });
  #form;

  constructor(root, query) {
    this.#more.parts.process_at.control.type = "datetime-local";
    this.#form = h(
      "form", { class: "card new", novalidate: true },
      this.#about, this.#fields,
      h("details", { class: "more" }, h("summary", {}, "More"), this.#more.element),
      h("div", { class: "sending" }, this.#send, this.#bar), this.#refusal,
    );
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    root.append(h("h1", { class: "page-title", text: "New task" }), this.#choices, this.#form);
    this.#begin(query);
  }

  close() {
    this.#abort.abort();
  }

  async #begin(query) {
    try {
      const { types, queues } = await getJson("api/v1/types", { signal: this.#abort.signal });
      this.#types = types.toSorted((a, b) => place(a) - place(b) || a.type.localeCompare(b.type));
      this.#queues = queues;
    } catch (error) {
      if (error.name !== "AbortError") say(this.#refusal, error.message);
      return;
    }
    const list = h("datalist", { id: "queues" }, ...this.#queues.map((name) => h("option", { value: name })));
    this.#form.append(list);
    this.#more.parts.queue.control.setAttribute("list", "queues");
    this.#choices.append(...this.#types.map((type) => this.#choiceOf(type)));
    this.prefill(query);
    this.#send.disabled = false;
  }

  /** What the address says, and what was dropped onto the page. */
  prefill(query) {
    const files = dropped.take();
    const fits = files.length ? this.#typeFor(files[0]) : null;
    const asked = this.#types.find(({ type }) => type === query.get("type"));
    const type = fits ?? asked ?? this.#types.find(({ type }) => type === this.#chosen) ?? this.#types[0];
    this.#choose(type);
    const given = Object.fromEntries([...query].filter(([name]) => name !== "type"));
    this.#payload.set(given);
    if (fits) this.#put(files);
    else this.#fields.querySelector("input, textarea, select")?.focus();
  }

  #choiceOf(type) {
    const radio = h("input", { type: "radio", name: "type", value: type.type });
    radio.addEventListener("change", () => this.#choose(type));
    return h("label", { class: "choice" }, radio, h("span", { text: TITLES[type.type] ?? type.type }));
  }

  #choose(type) {
    this.#choices.querySelector(`input[value="${CSS.escape(type.type)}"]`).checked = true;
    if (this.#chosen === type.type) return;
    this.#chosen = type.type;
    this.#payload = fieldOf(type.schema, { required: true });
    say(this.#about, `${type.summary}.`.replace(/\.\.$/, "."));
    say(this.#refusal, "");
    this.#fields.replaceChildren(this.#payload.element);
  }

  /** Text goes where Markdown is wanted; anything else to the first type that takes a file of that sort. */
  #typeFor(file) {
    if (isMarkdown(file)) return this.#types.find(({ schema }) => schema.properties?.content);
    return this.#types.find(({ schema }) => isUpload(schema.properties?.file));
  }

  async #put(files) {
    const { content, topic, file } = this.#payload.parts;
    if (!isMarkdown(files[0])) {
      file.take(files);
      return;
    }
    content.set(await files[0].text());
    if (!topic.value()) topic.set(files[0].name.replace(/\.[^.]*$/, ""));
  }

  async #submit() {
    this.#clear();
    this.#send.disabled = true;
    try {
      if (!this.#valid()) return;
      const { process_at: at, ...more } = this.#more.value();
      const body = { type: this.#chosen, payload: this.#payload.value(), ...more };
      if (at) body.process_at = new Date(at).toISOString();
      const created = await submit(body, this.#payload.files?.() ?? [], {
        signal: this.#abort.signal,
        sent: (share) => {
          this.#bar.hidden = false;
          this.#bar.value = share;
        },
      });
      go(`tasks/${created.task_id}`);
    } catch (error) {
      if (error.name !== "AbortError") this.#refuse(error);
    } finally {
      this.#send.disabled = false;
      this.#bar.hidden = true;
    }
  }

  /** The browser's own words for what it can check itself. */
  #valid() {
    const wrong = this.#form.querySelector("input:invalid, textarea:invalid, select:invalid");
    if (!wrong) return true;
    const closed = wrong.closest("details:not([open])");
    if (closed) closed.open = true;
    this.#mark(wrong.closest(".field"), wrong.validationMessage);
    wrong.focus();
    return false;
  }

  #clear() {
    say(this.#refusal, "");
    for (const field of this.#form.querySelectorAll(".field > .refusal")) field.hidden = true;
    for (const control of this.#form.querySelectorAll("[aria-invalid]")) control.removeAttribute("aria-invalid");
  }

  /** A refusal that begins with a field's name stands at that field. */
  #refuse(error) {
    const said = error.message.replace(/^The payload does not fit a task of type \S+: /, "");
    const named = error.field ?? /^([\w-]+)/.exec(said.replace(/^(args|inputs): /, ""))?.[1];
    const field = [...this.#form.querySelectorAll("[data-field]")].find((one) => one.dataset.field === named);
    if (field) this.#mark(field, said);
    else say(this.#refusal, said);
  }

  #mark(field, text) {
    const refusal = field.querySelector(":scope > .refusal");
    refusal.hidden = false;
    say(refusal, text);
    const control = field.querySelector("input, textarea, select");
    control.setAttribute("aria-invalid", "true");
    control.focus();
  }
}

const isMarkdown = (file) => /\.(md|markdown|txt)$/i.test(file.name);

function place({ type }) {
  const at = FIRST.indexOf(type);
  return at < 0 ? FIRST.length : at;
}
