// Light, dark, or as the system has it.

import { kept, say } from "./dom.js";

const NEXT = { system: "light", light: "dark", dark: "system" };
const SIGN = { system: "◐", light: "☀", dark: "☾" };

const current = () => document.documentElement.dataset.theme ?? "system";

export function startTheme(button) {
  const show = () => {
    say(button, SIGN[current()]);
    button.setAttribute("aria-label", `Theme: ${current()}`);
    button.title = `Theme: ${current()}`;
  };
  const turn = () => {
    const theme = NEXT[current()];
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    kept.set("theme", theme === "system" ? null : theme);
    show();
    dispatchEvent(new Event("themechange"));
  };
  button.addEventListener("click", turn);
  show();
  return turn;
}
