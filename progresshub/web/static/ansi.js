// What programs print for terminals, as lines of text with classes: colours stay, everything else that moves a
// cursor goes. Pure functions; the text itself is never looked at as anything but text.

const CUT = 8_000;
const SEQUENCE = /\x1b\[([0-9:;<=>?]*)[ -/]*([@-~])|\x1b[\]PX^_][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]*[0-~]|\x1b/g;
const DIRECTION = /[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c]/g;
const CONTROL = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/g;
const PLAIN = Object.freeze({ fore: "", back: "", marks: "" });

/**
 * Parts of one line, `{ text, names }` with class names, and the style that the next line begins with. What was
 * drawn over by a carriage return is gone; characters that turn the writing direction are shown by their names.
 */
export function parts(line, style = PLAIN) {
  const found = [];
  const kept = redrawn(line);
  const cut = kept.length > CUT;
  let at = 0;
  const text = cut ? kept.slice(0, CUT) : kept;
  for (const match of text.matchAll(SEQUENCE)) {
    add(found, text.slice(at, match.index), style);
    if (match[2] === "m") style = styled(style, match[1]);
    at = match.index + match[0].length;
  }
  add(found, text.slice(at), style);
  if (cut) found.push({ text: ` … ${kept.length - CUT} more characters`, names: "a-note" });
  return { parts: found, style };
}

/** What remains of a line that was drawn several times: the last that was. */
export function redrawn(line) {
  const drawn = line.replace(/\r+$/, "");
  const start = drawn.lastIndexOf("\r");
  if (start < 0) return drawn;
  const colours = drawn.slice(0, start).match(/\x1b\[[0-9;]*m/g) ?? [];
  return colours.slice(-8).join("") + drawn.slice(start + 1);
}

function add(found, text, style) {
  const names = Object.values(style).filter(Boolean).join(" ");
  let at = 0;
  for (const match of text.matchAll(DIRECTION)) {
    push(found, text.slice(at, match.index), names);
    found.push({ text: `U+${match[0].codePointAt(0).toString(16).toUpperCase().padStart(4, "0")}`, names: "a-note" });
    at = match.index + 1;
  }
  push(found, text.slice(at), names);
}

function push(found, text, names) {
  const clean = text.replace(CONTROL, "");
  if (clean) found.push({ text: clean, names });
}

function styled(style, codes) {
  const numbers = codes.split(/[;:]/).map(Number);
  let { fore, back } = style;
  const marks = new Set(style.marks.split(" ").filter(Boolean));
  for (let n = 0; n < numbers.length; n += 1) {
    const code = numbers[n];
    if (code === 0) {
      fore = back = "";
      marks.clear();
    } else if (code === 38 || code === 48) {
      const [colour, used] = extended(numbers.slice(n + 1));
      if (code === 38) fore = colour === null ? "" : `a-f${colour}`;
      else back = colour === null ? "" : `a-b${colour}`;
      n += used;
    } else if (code >= 30 && code <= 37) fore = `a-f${code - 30}`;
    else if (code >= 90 && code <= 97) fore = `a-f${code - 82}`;
    else if (code === 39) fore = "";
    else if (code >= 40 && code <= 47) back = `a-b${code - 40}`;
    else if (code >= 100 && code <= 107) back = `a-b${code - 92}`;
    else if (code === 49) back = "";
    else mark(marks, code);
  }
  return { fore, back, marks: [...marks].join(" ") };
}

const MARKS = { 1: "a-bold", 2: "a-dim", 3: "a-italic", 4: "a-under", 9: "a-struck" };
const ENDS = { 22: ["a-bold", "a-dim"], 23: ["a-italic"], 24: ["a-under"], 29: ["a-struck"] };

function mark(marks, code) {
  if (MARKS[code]) marks.add(MARKS[code]);
  for (const name of ENDS[code] ?? []) marks.delete(name);
}

/** One of sixteen colours for what comes after 38 or 48, null for none, and how many numbers that took. */
function extended([way, ...values]) {
  if (way === 5) return [values[0] < 16 ? values[0] : nearest(...cube(values[0] ?? 0)), 2];
  if (way === 2) return [nearest(...values.slice(0, 3)), 4];
  return [null, 0];
}

function cube(index) {
  if (index >= 232) return Array(3).fill(8 + 10 * (index - 232));
  const n = index - 16;
  return [Math.floor(n / 36), Math.floor(n / 6) % 6, n % 6].map((part) => 51 * part);
}

function nearest(red = 0, green = 0, blue = 0) {
  const brightest = Math.max(red, green, blue);
  if (brightest < 48) return 0;
  const half = brightest / 2;
  const hue = (red > half ? 1 : 0) | (green > half ? 2 : 0) | (blue > half ? 4 : 0);
  return hue + (brightest > 190 ? 8 : 0);
}
