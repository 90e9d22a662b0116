// Which page an address means, and how one gets from one to the next without loading anything anew.
//
// A page is a module with `show(root, route, store)`, which builds it inside `root` and returns
// `{ close() }`, and `changed(route)` where it can go on with another query. `open(route)` may say
// that it needs no login.

const PAGES = [
  { name: "list", path: /^$/, load: () => import("./list.js") },
  { name: "new", path: /^new$/, load: () => import("./new.js") },
  { name: "task", path: /^tasks\/(?<id>[^/]+)$/, load: () => import("./task.js") },
];
const NOWHERE = { name: "nowhere", load: () => import("./nowhere.js") };

/** `query` are URLSearchParams, `params` what the path names. */
export function routeOf(address) {
  const base = new URL(document.baseURI).pathname;
  const path = address.pathname.startsWith(base) ? address.pathname.slice(base.length) : "/";
  for (const page of PAGES) {
    const match = page.path.exec(path);
    const params = match && decoded(match.groups);
    if (params) return { page, params, query: address.searchParams };
  }
  return { page: NOWHERE, params: {}, query: address.searchParams };
}

/** The texts that a path stands for; null where it stands for none. */
function decoded(groups = {}) {
  try {
    return Object.fromEntries(Object.entries(groups).map(([name, text]) => [name, decodeURIComponent(text)]));
  } catch {
    return null;
  }
}

/** Goes to a path below the base, such as `tasks/…`. */
export function go(path, { replace = false } = {}) {
  const address = new URL(path, document.baseURI);
  if (replace) history.replaceState(history.state, "", address);
  else {
    history.replaceState({ ...history.state, scroll: scrollY }, "");
    history.pushState(null, "", address);
  }
  dispatchEvent(new Event("gone"));
}

/** Calls `show(route)` for the present address and each that follows. */
export function startRouter(show) {
  history.scrollRestoration = "manual";
  const here = () => show(routeOf(new URL(location.href)));
  addEventListener("popstate", here);
  addEventListener("gone", here);
  document.addEventListener("click", follow);
  here();
}

function follow(event) {
  const link = event.target.closest?.("a[href]");
  const plain = event.button === 0 && !event.metaKey && !event.ctrlKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || event.defaultPrevented || link.target || link.hasAttribute("download")) return;
  const address = new URL(link.href);
  if (address.origin !== location.origin || routeOf(address).page === NOWHERE) return;
  event.preventDefault();
  go(address.href);
}
