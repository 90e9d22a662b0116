// The order of the list: by queue, and in each what is at work before what waits before what has ended.

import { GROUPS, GROUP_OF, matcher } from "./filters.js";

const RANK = { running: 0, retrying: 1, pending: 2, scheduled: 3 };
const ENDED = 4;

/**
 * The lines to show, `{ key, row }` for a task and `{ key, queue, tallies, folded }` for the head of a
 * queue, and how many tasks there are of each group, kind and queue. `paused` and `folded` are sets
 * of queues; a queue that stands alone has a head for those who may pause it.
 */
export function arrange(rows, filter, { paused, folded, mayPause }) {
  const matches = matcher(filter);
  const shown = filter.state ? new Set(GROUPS[filter.state].states) : null;
  const tallies = Object.fromEntries(Object.keys(GROUPS).map((group) => [group, 0]));
  const queues = new Map();
  const kinds = new Set();
  let all = 0;
  for (const row of rows) {
    kinds.add(row.kind);
    if (!queues.has(row.queue)) queues.set(row.queue, { rows: [], active: 0, waiting: 0 });
    if (!matches(row)) continue;
    all += 1;
    const group = GROUP_OF[row.state];
    tallies[group] += 1;
    const queue = queues.get(row.queue);
    if (group in queue) queue[group] += 1;
    if (!shown || shown.has(row.state)) queue.rows.push(row);
  }
  for (const name of paused) if (!queues.has(name)) queues.set(name, { rows: [], active: 0, waiting: 0 });
  const names = [...queues.keys()].sort((a, b) => a.localeCompare(b));
  const headed = names.length > 1 || paused.size > 0 || mayPause;
  const items = names.flatMap((name) => lines(name, queues.get(name), headed, folded, paused));
  return { items, tallies: { ...tallies, all }, kinds: [...kinds].sort(), queues: names };
}

function lines(name, queue, headed, folded, paused) {
  if (!queue.rows.length && !paused.has(name)) return [];
  const isFolded = headed && folded.has(name);
  const rows = isFolded ? [] : edged(queue.rows.sort(inOrder));
  if (!headed) return rows;
  const { active, waiting } = queue;
  return [{ key: `queue ${name}`, queue: name, active, waiting, count: queue.rows.length, folded: isFolded }, ...rows];
}

/** Items for the rows, of which those that rest one below the other make a block with a first and a last. */
function edged(rows) {
  return rows.map((row, at) => ({
    key: row.id,
    row,
    first: at === 0 || rows[at - 1].state === "running",
    last: at === rows.length - 1,
  }));
}

function inOrder(one, other) {
  const [rank, otherRank] = [RANK[one.state] ?? ENDED, RANK[other.state] ?? ENDED];
  if (rank !== otherRank) return rank - otherRank;
  if (rank === ENDED) return other.finished_ms - one.finished_ms || other.seq - one.seq;
  if (rank === RANK.scheduled || rank === RANK.retrying) return (one.due_ms ?? 0) - (other.due_ms ?? 0);
  return rank === RANK.pending ? one.seq - other.seq : other.seq - one.seq;
}
