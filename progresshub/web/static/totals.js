// How it all stands, where one sees it from another tab, too: in the title and in the icon.

import { svg } from "./dom.js";
import { percent } from "./format.js";
import { FINAL } from "./store.js";

const NAME = "progresshub";
const EVERY_MS = 1_000;
const WAITING = new Set(["pending", "retrying"]);
const COLOURS = { busy: "#3b73f0", stalled: "#e39a1c", failed: "#d6453d", done: "#1b9a5b", idle: "#8a94a6" };

/**
 * Of what is at work or waits, and of what has ended since the oldest of that was asked for: how many,
 * and how far they are. `percent` is null while nothing is known of it.
 */
export function totalsOf(rows) {
  const live = [];
  const ended = [];
  const totals = { active: 0, waiting: 0, scheduled: 0, stalled: 0, failed: 0, bytesPerSecond: 0, ends_ms: 0, percent: null, isDone: false };
  for (const row of rows) {
    if (row.state === "running") totals.active += 1;
    else if (WAITING.has(row.state)) totals.waiting += 1;
    else if (row.state === "scheduled") totals.scheduled += 1;
    if (row.state === "running" || WAITING.has(row.state)) live.push(row);
    else if (FINAL.has(row.state)) ended.push(row);
  }
  const since = live.reduce((oldest, row) => Math.min(oldest, row.created_ms), Infinity);
  const batch = ended.filter((row) => row.finished_ms >= since && row.state !== "cancelled");
  addPace(totals, live);
  totals.failed = batch.filter((row) => row.state === "failed").length;
  const known = live.filter((row) => row.percent !== undefined || row.state !== "running");
  if (known.length + batch.length) {
    const sum = known.reduce((total, row) => total + (row.percent ?? 0), 100 * batch.length);
    totals.percent = live.length ? sum / (known.length + batch.length) : 100;
  }
  totals.isDone = live.length === 0 && ended.length > 0;
  if (totals.isDone) totals.percent = 100;
  return totals;
}

function addPace(totals, live) {
  let unknown = totals.waiting > 0;
  for (const row of live) {
    if (row.state !== "running") continue;
    if (row.stalled) totals.stalled += 1;
    if (/^b(ytes?)?$/i.test(row.unit ?? "") && !row.stalled) totals.bytesPerSecond += row.speed_bps ?? 0;
    if (row.ends_ms === undefined || row.stalled) unknown = true;
    else totals.ends_ms = Math.max(totals.ends_ms, row.ends_ms);
  }
  if (unknown) totals.ends_ms = 0;
}

/** Keeps title and icon up to date, in tabs that nobody looks at as well. */
export function startTotals(store) {
  let shown = "";
  const show = () => {
    const totals = totalsOf(store.rows());
    showTitle(totals, store.link);
    showIcon(totals);
  };
  setInterval(() => {
    const now = `${store.changes} ${store.link}`;
    if (now !== shown) show();
    shown = now;
  }, EVERY_MS);
  addEventListener("titleclaimed", show);
}

let ours = "";

/** From now on the title says how it all stands, until a page gives itself another. */
export function claimTitle() {
  ours = document.title = NAME;
  dispatchEvent(new Event("titleclaimed"));
}

function showTitle({ active, waiting, percent: value }, link) {
  if (document.title !== ours) return;
  const busy = active + waiting > 0;
  const count = active ? `${active} active` : `${waiting} waiting`;
  const figures = busy ? [percent(value), count] : [];
  ours = `${link === "offline" ? "⚠ " : ""}${[...figures, NAME].filter(Boolean).join(" · ")}`;
  if (document.title !== ours) document.title = ours;
}

function showIcon(totals) {
  const icon = document.getElementById("favicon");
  const address = `data:image/svg+xml,${encodeURIComponent(iconOf(totals))}`;
  if (icon.href !== address) icon.href = address;
}

/** A ring that closes as the work is done. */
export function iconOf({ active, waiting, stalled, failed, percent: value, isDone }) {
  const busy = active + waiting > 0;
  const tone = stalled ? "stalled" : failed && busy ? "failed" : busy ? "busy" : isDone ? "done" : "idle";
  const length = 2 * Math.PI * 12;
  const part = busy ? Math.floor(value ?? 25) / 100 : 1;
  const ring = (colour, given = {}) => svg("circle", { cx: 16, cy: 16, r: 12, fill: "none", stroke: colour, "stroke-width": 7, ...given });
  const icon = svg(
    "svg",
    { viewBox: "0 0 32 32" },
    ring(COLOURS.idle, { "stroke-opacity": 0.35 }),
    ring(COLOURS[tone], { "stroke-dasharray": `${(part * length).toFixed(1)} ${length.toFixed(1)}`, transform: "rotate(-90 16 16)" }),
  );
  return new XMLSerializer().serializeToString(icon);
}
