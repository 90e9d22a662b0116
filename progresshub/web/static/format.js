// Numbers and times as people read them. Nothing here invents one: what is not known gives an empty text.

const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
const LATE_MS = 2_000;
const SIZES = ["B", "kB", "MB", "GB", "TB", "PB"];

export function size(bytes) {
  if (!known(bytes)) return "";
  const power = Math.min(SIZES.length - 1, Math.max(0, Math.floor(Math.log10(Math.max(1, Math.abs(bytes))) / 3)));
  return `${short(bytes / 1000 ** power)} ${SIZES[power]}`;
}

/** An amount in a task's own unit. */
export function amount(value, unit) {
  if (!known(value)) return "";
  if (/^b(ytes?)?$/i.test(unit)) return size(value);
  return `${value >= 10_000 ? Math.round(value).toLocaleString() : short(value)}${unit ? ` ${unit}` : ""}`;
}

function short(value) {
  if (Number.isInteger(value)) return String(value);
  return value.toFixed(Math.abs(value) < 10 ? 1 : 0);
}

export function speed(perSecond, unit) {
  if (!known(perSecond) || perSecond <= 0) return "";
  const rate = unit ? amount(perSecond, unit) : size(perSecond);
  return perSecond < 0.1 && unit ? `${short(60 * perSecond)} ${unit}/min` : `${rate}/s`;
}

/** `5 s left · 6:38 AM`; nothing once that time is over, for then nobody knows. */
export function remaining(ends_ms, now) {
  if (!known(ends_ms) || ends_ms < now - LATE_MS) return "";
  return `${duration(Math.max(1_000, ends_ms - now))} left · ${clock(ends_ms, now)}`;
}

/** Whole percent, rounded down; 100 is for what is completed. */
export function percent(value, isCompleted = false) {
  if (isCompleted) return "100 %";
  return known(value) ? `${Math.min(99, Math.floor(value))} %` : "";
}

/** `3 s`, `2 min 5 s`, `1 h 20 min`, `2 d 3 h`: two units at most. */
export function duration(ms) {
  if (!known(ms)) return "";
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 60) return `${seconds} s`;
  const [minutes, hours] = [Math.floor(seconds / 60), Math.floor(seconds / 3600)];
  if (minutes < 10) return joined(minutes, "min", seconds % 60, "s");
  if (minutes < 60) return `${minutes} min`;
  if (hours < 24) return joined(hours, "h", minutes % 60, "min");
  return joined(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** How long something took: as `duration`, but what was over within a second is told in tenths. */
export function lasted(ms) {
  if (!known(ms) || ms >= 950) return duration(ms);
  return ms < 100 ? "< 0.1 s" : `${(ms / 1000).toFixed(1)} s`;
}

function joined(many, unit, few, smaller) {
  return few ? `${many} ${unit} ${few} ${smaller}` : `${many} ${unit}`;
}

const TIME = new Intl.DateTimeFormat(undefined, { hour: "numeric", minute: "2-digit" });
const DAY = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "numeric", minute: "2-digit" });
const DATE = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
const DAY_MS = 86_400_000;

/** The time of day; with the day where it is not today, with the date where that is far off. */
export function clock(ms, now = Date.now()) {
  if (!known(ms)) return "";
  if (new Date(ms).toDateString() === new Date(now).toDateString()) return TIME.format(ms);
  return (Math.abs(ms - now) < 6 * DAY_MS ? DAY : DATE).format(ms);
}

export const date = (ms) => (known(ms) ? DATE.format(ms) : "");
