// Progress and speed over time, drawn by uPlot, which is loaded when there is something to draw.

import { getJson } from "./api.js";
import { h, say } from "./dom.js";
import { duration, percent, speed } from "./format.js";

const PAGE = 1_000;
const PAGES = 10;
const MOST_POINTS = 2_000;
const FEW_POINTS = 3;
const HEIGHT_PX = 180;
const NEWER_MS = 100;
const TIMES_S = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 1_800, 3_600, 7_200, 14_400, 28_800, 86_400, 604_800];
let uPlot = null;

/** The library and its looks, once. */
async function load() {
  if (uPlot) return;
  const { default: loaded } = await import("./uplot.min.js");
  const looks = h("link", { rel: "stylesheet", href: new URL("uplot.min.css", import.meta.url).href });
  await new Promise((resolve) => {
    looks.addEventListener("load", resolve);
    looks.addEventListener("error", resolve);
    document.head.append(looks);
  });
  uPlot = loaded;
}

export class Chart {
  #id;
  #points = [];
  #plot = null;
  #loaded = false;
  #closed = false;
  #frame = 0;
  #unit = "";
  #box = h("div", { class: "plot", role: "img" });
  #reading = h("p", { class: "reading soft" });
  #resized = new ResizeObserver(() => this.#fit());
  #scheme = matchMedia("(prefers-color-scheme: dark)");
  #again = () => this.#rebuild();

  constructor(id) {
    this.#id = id;
    this.element = h(
      "section", { class: "card chart", "aria-labelledby": "chart-title", hidden: true },
      h("div", { class: "bar-of-tools" }, h("h2", { id: "chart-title", text: "Progress over time" }), this.#reading),
      this.#box,
    );
    addEventListener("themechange", this.#again);
    this.#scheme.addEventListener("change", this.#again);
    this.#resized.observe(this.#box);
    this.#begin();
  }

  close() {
    this.#closed = true;
    cancelAnimationFrame(this.#frame);
    removeEventListener("themechange", this.#again);
    this.#scheme.removeEventListener("change", this.#again);
    this.#resized.disconnect();
    this.#plot?.destroy();
  }

  /** A newer row of the task. */
  hear(row) {
    if (!this.#loaded || !row.at_ms || (row.percent === undefined && !row.speed_bps)) return;
    this.#unit = row.unit;
    const [before, last] = [this.#points.at(-2), this.#points.at(-1)];
    if (last && row.at_ms <= last.ms) return;
    if (before && last.ms < before.ms + NEWER_MS) this.#points.pop();
    this.#points.push({ ms: row.at_ms, percent: row.percent ?? null, speed: row.speed_bps ?? null });
    this.#thin();
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  async #begin() {
    try {
      this.#points = await past(this.#id);
    } catch {
      // What comes is drawn all the same.
    }
    this.#loaded = true;
    this.#thin();
    if (!this.#closed) this.#draw();
  }

  #thin() {
    while (this.#points.length > MOST_POINTS) {
      const last = this.#points.length - 1;
      this.#points = this.#points.filter((_, index) => index % 2 === 0 || index === last);
    }
  }

  async #draw() {
    this.#frame = 0;
    if (this.#points.length < FEW_POINTS || this.#closed) return;
    if (!uPlot) await load().catch(() => {});
    if (this.#closed || !uPlot) return;
    this.element.hidden = false;
    const data = [
      this.#points.map((point) => (point.ms - this.#points[0].ms) / 1000),
      this.#points.map((point) => point.percent),
      this.#points.map((point) => point.speed),
    ];
    const fast = data[2].some((value) => value);
    if (this.#plot && this.#plot.fast === fast) this.#plot.setData(data);
    else this.#build(data, fast);
    this.#read(this.#points.length - 1);
  }

  #build(data, fast) {
    this.#plot?.destroy();
    const options = { ...optionsOf(this.#inks(), fast, this.#unit), width: this.#width(), height: HEIGHT_PX };
    options.hooks = { setCursor: [({ cursor }) => this.#read(cursor.idx ?? this.#points.length - 1)] };
    this.#plot = new uPlot(options, data, this.#box);
    this.#plot.fast = fast;
  }

  #rebuild() {
    if (!this.#plot) return;
    this.#plot.destroy();
    this.#plot = null;
    this.#frame ||= requestAnimationFrame(() => this.#draw());
  }

  #fit() {
    if (this.#plot && this.#plot.width !== this.#width()) this.#plot.setSize({ width: this.#width(), height: HEIGHT_PX });
  }

  #width() {
    return Math.max(200, this.#box.clientWidth);
  }

  #read(index) {
    const point = this.#points[Math.min(index, this.#points.length - 1)];
    const since = duration(point.ms - this.#points[0].ms);
    const words = [percent(point.percent, point.percent === 100), speed(point.speed, this.#unit), `after ${since}`];
    say(this.#reading, words.filter(Boolean).join(" · "));
    this.#box.setAttribute("aria-label", `Progress over time: ${this.#reading.textContent}`);
  }

  /** The theme's colours as the canvas wants them. */
  #inks() {
    const probe = h("span", { hidden: true });
    this.#box.append(probe);
    const ink = (name) => {
      probe.style.color = `var(--${name})`;
      return getComputedStyle(probe).color;
    };
    const inks = { text: ink("soft"), line: ink("line"), percent: ink("running"), speed: ink("warn") };
    probe.remove();
    return inks;
  }
}

function optionsOf(inks, fast, unit) {
  const axis = { stroke: inks.text, grid: { stroke: inks.line, width: 1 }, ticks: { show: false }, font: "11px system-ui" };
  const filled = inks.percent.replace("rgb(", "rgba(").replace(")", ", 0.14)");
  return {
    legend: { show: false },
    cursor: { y: false, points: { size: 7 }, drag: { x: false, y: false } },
    scales: { x: { time: false }, percent: { range: [0, 100] }, speed: { range: (_, __, most) => [0, Math.max(1, 1.15 * most)] } },
    axes: [
      { ...axis, values: (_, marks) => marks.map((s) => duration(1000 * s) || "0"), space: 90, size: 30, incrs: TIMES_S },
      { ...axis, scale: "percent", values: (_, marks) => marks.map((mark) => `${mark} %`), size: 52 },
      ...(fast ? [{ ...axis, scale: "speed", side: 1, grid: { show: false }, size: 78,
        values: (_, marks) => marks.map((mark) => speed(mark, unit) || "0") }] : []),
    ],
    series: [
      {},
      { scale: "percent", stroke: inks.percent, fill: filled, width: 2, points: { show: false } },
      { scale: "speed", stroke: inks.speed, width: 1.5, points: { show: false }, spanGaps: true, show: fast },
    ],
  };
}

/** The percentage, finer than it is recorded where the amounts agree; null while nobody knows. */
function exact({ indeterminate, current = 0, total, percentage }) {
  if (indeterminate) return null;
  const share = total ? (100 * current) / total : 0;
  return Math.floor(share) === percentage ? share : percentage;
}

/** What is recorded, oldest first. */
async function past(id) {
  const points = [];
  let start = "-";
  for (let page = 0; page < PAGES; page += 1) {
    const query = `limit=${PAGE}&start_id=${encodeURIComponent(start)}`;
    const { history } = await getJson(`api/v1/tasks/${encodeURIComponent(id)}/progress/history?${query}`);
    for (const { progress } of page ? history.slice(1) : history) {
      const { speed_bps, timestamp_ms: ms } = progress;
      if (!progress.indeterminate || speed_bps) points.push({ ms, percent: exact(progress), speed: speed_bps ?? null });
    }
    if (history.length < PAGE) break;
    start = history.at(-1).stream_id;
  }
  return points.filter((point, index) => index === 0 || point.ms > points[index - 1].ms);
}
