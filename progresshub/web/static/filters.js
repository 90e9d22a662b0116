// Which tasks are shown: as the address says it, and as a question that a row answers.

/** The groups of states that people ask for, by the word in the address. */
export const GROUPS = {
  active: { label: "Active", states: ["running"] },
  waiting: { label: "Waiting", states: ["pending", "scheduled", "retrying"] },
  completed: { label: "Completed", states: ["completed"] },
  failed: { label: "Failed", states: ["failed"] },
  cancelled: { label: "Cancelled", states: ["cancelled"] },
};
export const GROUP_OF = Object.fromEntries(
  Object.entries(GROUPS).flatMap(([group, { states }]) => states.map((state) => [state, group])),
);

const ID_DIGITS = 6;
const searched = new WeakMap();

export function filterOf(query) {
  const state = query.get("state") ?? "";
  return {
    state: state in GROUPS ? state : (GROUP_OF[state] ?? ""),
    kind: query.get("kind") ?? "",
    queue: query.get("queue") ?? "",
    text: query.get("q") ?? "",
  };
}

/** The address of the list with this filter, from the base. */
export function addressOf({ state, kind, queue, text }) {
  const query = new URLSearchParams();
  if (state) query.set("state", state);
  if (kind) query.set("kind", kind);
  if (queue) query.set("queue", queue);
  if (text) query.set("q", text);
  return `./${query.size ? `?${query}` : ""}`;
}

/** A test for rows, in everything but the state. */
export function matcher({ kind, queue, text }) {
  const words = plain(text).split(/\s+/).filter(Boolean);
  return (row) =>
    (!kind || row.kind === kind) &&
    (!queue || row.queue === queue) &&
    (!words.length || words.every((word) => textOf(row).includes(word) || startsId(row, word)));
}

/** Few digits begin the ids of tasks that nobody means. */
const startsId = (row, word) => word.length >= ID_DIGITS && row.id.startsWith(word);

function textOf(row) {
  let text = searched.get(row);
  if (text === undefined) {
    text = plain([row.title, row.kind, row.queue, row.stage, row.message, row.error].filter(Boolean).join(" "));
    searched.set(row, text);
  }
  return text;
}

/** Without case and accents. */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}
