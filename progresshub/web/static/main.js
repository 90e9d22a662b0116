// The frame around every page: who looks, the live feed, the theme, the keys, and which page it is.

import { announceMoves, complain } from "./announce.js";
import { logOut, session } from "./api.js";
import { put, say } from "./dom.js";
import { startDrops } from "./drop.js";
import { bind, showKeys, startKeyboard } from "./keyboard.js";
import { showLogin } from "./login.js";
import { go, routeOf, startRouter } from "./router.js";
import { Store } from "./store.js";
import { Stream } from "./stream.js";
import { startTheme } from "./theme.js";
import { startTotals } from "./totals.js";

const LINKS = {
  connecting: "Connecting", live: "Live", behind: "Behind", offline: "Offline, trying again", login: "Logged out",
};
const AGAIN_MS = 2_000;
const main = document.getElementById("main");
const store = new Store();
const stream = new Stream(store);
let shown = null;
let turn = 0;

function startFrame() {
  const link = document.getElementById("link");
  store.addEventListener("link", () => {
    put(link, "data-link", store.link);
    say(link, LINKS[store.link]);
    if (store.link === "login") askIn();
  });
  store.addEventListener("session", look);
  addEventListener("unauthorized", () => askIn());
  document.getElementById("skip").addEventListener("click", () => main.focus());
  document.getElementById("help").addEventListener("click", showKeys);
  document.getElementById("logout").addEventListener("click", leave);
  const turnTheme = startTheme(document.getElementById("theme"));
  startKeyboard();
  bind({
    "?": ["Show these keys", showKeys],
    n: ["New task", () => go("new")],
    t: ["Change the theme", turnTheme],
  });
  announceMoves(store);
  startTotals(store);
  startDrops(() => store.may("submit"));
}

/** Learns what whoever looks may do; whether they may look at all. */
async function learn() {
  const { scopes, logged_in } = await session();
  store.scopes = new Set(scopes);
  document.getElementById("logout").hidden = !logged_in;
  document.getElementById("new").hidden = !store.may("submit");
  return store.may("read");
}

async function open(route) {
  const mine = ++turn;
  if (shown?.route.page === route.page && shown.view.changed && same(shown.route.params, route.params)) {
    shown.route = route;
    shown.view.changed(route);
    return;
  }
  const page = await loaded(route);
  if (mine !== turn || !page) return;
  if (!store.may("read") && !page.open?.(route)) {
    askIn();
    return;
  }
  if (store.may("read")) stream.start();
  shown?.view.close();
  main.replaceChildren();
  const view = page.show(main, route, store);
  shown = { route, view, isOpen: page.open?.(route) };
  const target = location.hash && document.getElementById(location.hash.slice(1));
  if (target) target.scrollIntoView();
  else scrollTo(0, history.state?.scroll ?? 0);
}

/** A page's module. One that can't be had, from a server that is away or newer, comes with the whole page anew. */
async function loaded(route) {
  try {
    return await route.page.load();
  } catch {
    complain("This can't be loaded now. It comes when the server answers again.");
    await pause(AGAIN_MS);
    await reached();
    location.reload();
    return null;
  }
}

function same(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

function askIn() {
  if (main.querySelector(".login")) return;
  shown?.view.close();
  shown = null;
  store.forgetAll();
  store.setLink("login");
  const why = routeOf(new URL(location.href)).query.has("shared") ? "This link has ended." : "";
  const entered = () => {
    stream.restart();
    look();
  };
  showLogin(main, entered, why);
}

/** Looks what may be seen now, after a login or logout here or in another tab. */
async function look() {
  const mayRead = await learn();
  if (!mayRead && !shown?.isOpen) askIn();
  else if (mayRead && main.querySelector(".login")) {
    main.replaceChildren();
    store.setLink("connecting");
    go(location.href, { replace: true });
  }
}

async function leave() {
  await logOut();
  stream.restart();
  look();
}

/** Until the server answers. */
async function reached() {
  for (;;) {
    try {
      await learn();
      return;
    } catch {
      store.setLink("offline");
      await pause(AGAIN_MS);
    }
  }
}

function pause(ms) {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

async function begin() {
  await reached();
  startRouter(open);
}

startFrame();
begin();
