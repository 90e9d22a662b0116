// A link that shows one task to whoever has it, for a while.

import { send, url } from "./api.js";
import { h, say } from "./dom.js";
import { date } from "./format.js";

const SPANS = [["1h", "an hour"], ["24h", "a day"], ["168h", "a week"], ["720h", "30 days"]];

export function showShare(id) {
  const span = h("select", { id: "share-span" }, ...SPANS.map(([value, text]) => h("option", { value, text, selected: value === "24h" })));
  const link = h("input", { readonly: true, "aria-label": "Link", class: "wide" });
  const badge = h("input", { readonly: true, "aria-label": "Badge", class: "wide" });
  const said = h("p", { class: "soft", role: "status" });
  const made = h("div", { class: "made", hidden: true }, copied("Link", link), copied("Badge, as Markdown", badge));
  const make = async () => {
    try {
      const shared = await send("POST", `api/v1/tasks/${encodeURIComponent(id)}/share`, { lasts: span.value });
      const [page, picture] = [shared.url, shared.badge_url].map((path) => new URL(path, location.href).href);
      link.value = page;
      badge.value = `[![progress](${picture})](${page})`;
      made.hidden = false;
      say(said, `Whoever has it may look at this task, and only that, until ${date(Date.parse(shared.expires_at))}.`);
    } catch (error) {
      say(said, error.message);
    }
  };
  const dialog = h(
    "dialog", { class: "share", "aria-labelledby": "share-title", onclose: () => dialog.remove() },
    h("h2", { id: "share-title", text: "Share this task" }),
    h("img", { src: url(`api/v1/tasks/${encodeURIComponent(id)}/badge.svg`).href, alt: "Its badge" }),
    h("p", {}, h("label", { for: "share-span", text: "A link that lasts " }), span, " ",
      h("button", { type: "button", class: "button main", text: "Make a link", onclick: make })),
    made, said,
    h("button", { type: "button", class: "button", text: "Close", onclick: () => dialog.close() }),
  );
  document.body.append(dialog);
  dialog.showModal();
}

function copied(label, field) {
  const button = h("button", { type: "button", class: "button", text: "Copy", "aria-label": `Copy: ${label}` });
  button.addEventListener("click", async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(field.value);
      say(button, "Copied");
    } catch {
      say(button, "Press Ctrl C");
    }
  });
  return h("p", {}, h("span", { class: "label", text: label }), h("span", { class: "pair" }, field, button));
}
