// A form made from a JSON Schema: as much of it as people can fill in field by field, the rest as JSON.

import { h, say } from "./dom.js";

let number = 0;
const INITIALS = /\b(url|id|mp3|json|api)\b/g;
const LONG = /^(text|topic|markdown|script|prompt|body|content)$/i;

/** A schema's part as a field: `element`, `value()` (undefined for what is left out), and `set(value)`. */
export function fieldOf(schema, { name = "", required = false, defs = {} } = {}) {
  const known = settled(schema, { ...defs, ...schema.$defs });
  const given = { name, required, defs: { ...defs, ...schema.$defs }, schema: known };
  const choices = known.oneOf ?? known.anyOf;
  if (choices) return variants(choices, given);
  if ("const" in known) return constant(known.const);
  if (known.enum) return choice(given);
  if (known.format === "upload") return upload(given);
  const types = [known.type].flat();
  if (types.includes("object") || known.properties) return known.properties && Object.keys(known.properties).length ? group(given) : json(given);
  if (types.includes("array")) return list(given);
  if (types.includes("boolean")) return tick(given);
  if (types.includes("string")) return text(given);
  if (types.includes("integer") || types.includes("number")) return figure(given);
  return json(given);
}

/** Whether this part of a schema names files that come with the task. */
export const isUpload = (schema) => schema !== undefined && settled(schema, {}).format === "upload";

/** A schema without its references, and without the null that only says that it may be left out. */
function settled(schema, defs) {
  if (schema.$ref) return settled({ ...schema, ...defs[schema.$ref.split("/").at(-1)], $ref: undefined }, defs);
  const several = schema.anyOf ?? schema.oneOf;
  const real = several?.filter((one) => one.type !== "null");
  if (!several || real.length === several.length || real.length !== 1) return schema;
  const { anyOf, oneOf, ...rest } = schema;
  return settled({ ...real[0], ...rest }, defs);
}

function labelled(given, control, about = (given.schema.description ?? "").replaceAll("`", "")) {
  const id = `field-${(number += 1)}`;
  control.id = id;
  const refusal = h("p", { class: "refusal", hidden: true, id: `${id}-refusal` });
  const hint = about ? h("span", { class: "soft hint", id: `${id}-hint`, text: about }) : null;
  control.setAttribute("aria-describedby", [hint && `${id}-hint`, `${id}-refusal`].filter(Boolean).join(" "));
  const label = h("label", { for: id }, titleOf(given), given.required ? h("span", { class: "needed", "aria-hidden": "true", text: " *" }) : null);
  const element = h("div", { class: "field", "data-field": given.name || null }, label, control, hint, refusal);
  return element;
}

const titleOf = ({ name, schema }) => (name || schema.title || "Value").replaceAll("_", " ").replace(INITIALS, (word) => word.toUpperCase());

function text(given) {
  const { schema, name, required } = given;
  const isLong = (schema.maxLength ?? 9_999) > 1_000 && (LONG.test(name) || schema.maxLength > 20_000);
  const plain = schema.default ?? "";
  const control = isLong
    ? h("textarea", { name, rows: 5, required, maxlength: schema.maxLength, dir: "auto" })
    : h("input", {
        name, required, maxlength: schema.maxLength, type: name === "url" ? "url" : "text", dir: "auto", autocomplete: "off",
        placeholder: plain, spellcheck: "false",
      });
  return {
    element: labelled(given, control),
    value: () => (control.value === "" && !required ? undefined : control.value),
    set: (value) => (control.value = value ?? ""),
    control,
  };
}

function figure(given) {
  const { schema, name, required } = given;
  const whole = [schema.type].flat().includes("integer");
  const control = h("input", {
    type: "number", name, required, min: schema.minimum, max: schema.maximum, step: whole ? 1 : "any",
    placeholder: schema.default ?? "",
  });
  return {
    element: labelled(given, control),
    value: () => (control.value === "" ? undefined : Number(control.value)),
    set: (value) => (control.value = value ?? ""),
    control,
  };
}

function tick(given) {
  const control = h("input", { type: "checkbox", name: given.name });
  control.checked = Boolean(given.schema.default);
  const element = labelled(given, control);
  element.classList.add("tick");
  const same = Boolean(given.schema.default);
  return { element, control, value: () => (control.checked === same ? undefined : control.checked), set: (value) => (control.checked = Boolean(value)) };
}

function choice(given) {
  const { schema, name, required } = given;
  const values = schema.enum;
  const optional = !required && !values.includes(schema.default);
  const control = h(
    "select", { name, required },
    optional ? h("option", { value: "", text: "" }) : null,
    ...values.map((value, at) => h("option", { value: at, text: String(value), selected: value === schema.default })),
  );
  return {
    element: labelled(given, control),
    value: () => (control.value === "" || values[control.value] === schema.default ? undefined : values[control.value]),
    set: (value) => (control.value = values.indexOf(value)),
    control,
  };
}

/** Files that go with the task; its payload names them. `files()` are those that were chosen. */
function upload(given) {
  const several = [given.schema.type].flat().includes("array");
  const control = h("input", { type: "file", name: given.name, required: given.required, multiple: several });
  const names = () => [...control.files].map((file) => file.name);
  return {
    element: labelled(given, control),
    value: () => (several ? (names().length ? names() : undefined) : names()[0]),
    set() {},
    files: () => [...control.files],
    take: (files) => {
      const given = new DataTransfer();
      for (const file of several ? files : files.slice(0, 1)) given.items.add(file);
      control.files = given.files;
    },
    control,
  };
}

function constant(value) {
  return { element: null, value: () => value, set() {} };
}

/** One value a line; where they are no texts, it is JSON. */
function list(given) {
  const items = settled(given.schema.items ?? {}, given.defs);
  if (!["string", "integer", "number"].includes(items.type)) return json(given);
  const control = h("textarea", { name: given.name, rows: 2, required: given.required, dir: "auto", spellcheck: "false" });
  const about = [given.schema.description, "One a line."].filter(Boolean).join(". ").replace("..", ".");
  const read = (line) => (items.type === "string" ? line : Number(line));
  return {
    element: labelled(given, control, about),
    value: () => {
      const lines = control.value.split("\n").map((line) => line.trim()).filter(Boolean);
      return lines.length || given.required ? lines.map(read) : undefined;
    },
    set: (value) => (control.value = (value ?? []).join("\n")),
    control,
  };
}

function json(given) {
  const control = h("textarea", { name: given.name, rows: 4, required: given.required, class: "code", spellcheck: "false", placeholder: hintOf(given.schema) });
  const about = [given.schema.description, "As JSON."].filter(Boolean).join(". ").replace("..", ".");
  const parsed = () => {
    const written = control.value.trim();
    if (!written) return undefined;
    try {
      return JSON.parse(written);
    } catch (error) {
      if (!given.schema.type && !/^[[{"]/.test(written)) return written;
      throw new FieldError(given.name, `This is not JSON: ${error.message}`);
    }
  };
  return {
    element: labelled(given, control, about), value: parsed, control,
    set: (value) => (control.value = value === undefined ? "" : JSON.stringify(value, null, 2)),
  };
}

function hintOf(schema) {
  if (schema.default !== undefined) return JSON.stringify(schema.default);
  return { object: "{ }", array: "[ ]" }[schema.type] ?? "";
}

/** What is wrong with one field, by its name. */
export class FieldError extends Error {
  constructor(field, message) {
    super(message);
    this.field = field;
  }
}

function group(given) {
  const needed = new Set(given.schema.required ?? []);
  const parts = Object.entries(given.schema.properties).map(([name, part]) => [
    name, fieldOf(part, { name, required: needed.has(name), defs: given.defs }),
  ]);
  const elements = parts.map(([, part]) => part.element).filter(Boolean);
  const element = given.name
    ? h("fieldset", { class: "field", "data-field": given.name }, h("legend", {}, titleOf(given)), ...elements)
    : h("div", { class: "fields" }, ...elements);
  return {
    element, parts: Object.fromEntries(parts),
    value: () => {
      const values = parts.map(([name, part]) => [name, part.value()]).filter(([, value]) => value !== undefined);
      return values.length || given.required || !given.name ? Object.fromEntries(values) : undefined;
    },
    set: (value) => {
      for (const [name, part] of parts) if (value && name in value) part.set(value[name]);
    },
    files: () => parts.flatMap(([, part]) => part.files?.() ?? []),
  };
}

/** One of several shapes: which one is chosen, and then its fields. */
function variants(choices, given) {
  const made = new Map();
  const body = h("div", { class: "variant" });
  const names = choices.map((one, at) => settled(one, given.defs).title ?? `Way ${at + 1}`);
  const control = h("select", { name: given.name }, ...names.map((text, at) => h("option", { value: at, text })));
  const about = h("p", { class: "soft hint" });
  const current = () => {
    const at = control.value;
    if (!made.has(at)) made.set(at, fieldOf(choices[at], { defs: given.defs, required: true }));
    return made.get(at);
  };
  const turn = () => {
    const { description } = settled(choices[control.value], given.defs);
    say(about, (description ?? "").replaceAll("`", ""));
    body.replaceChildren(...[current().element].filter(Boolean));
  };
  control.addEventListener("change", turn);
  turn();
  const label = labelled({ ...given, name: given.name || "Which" }, control, "");
  return {
    element: h("div", { class: "fields" }, label, about, body), control,
    value: () => current().value(),
    files: () => current().files?.() ?? [],
    set: (value) => {
      const name = value?.name;
      const fits = choices.findIndex((one) => name && settled(one, given.defs).properties?.name?.const === name);
      if (fits >= 0) control.value = fits;
      turn();
      current().set(value);
    },
  };
}
