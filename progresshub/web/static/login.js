// The way in: a token, or the one-time code that the server shows when it starts.

import { logIn } from "./api.js";
import { h } from "./dom.js";

/** Builds the form inside `root`, with a word on why; `done()` is called when somebody is in. */
export function showLogin(root, done, why = "") {
  document.title = "Log in · progresshub";
  const field = h("input", {
    id: "secret", type: "password", autocomplete: "current-password", required: true, spellcheck: "false",
  });
  const refusal = h("p", { class: "refusal", role: "alert" });
  const form = h(
    "form",
    { class: "login card" },
    h("h1", { text: "Log in" }),
    why && h("p", { class: "refusal", text: why }),
    h("p", {}, "With a token, or with the one-time code in the address that the server shows when it starts."),
    h("label", { for: "secret", text: "Token or code" }),
    field,
    h("button", { class: "button main", text: "Log in" }),
    refusal,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    refusal.textContent = "";
    try {
      await enter(secretOf(field.value));
      done();
    } catch (error) {
      refusal.textContent = error.message;
      field.select();
    }
  });
  root.replaceChildren(form);
  field.focus();
}

/** Somebody may paste the whole address. */
function secretOf(text) {
  return /[?&]code=([^&\s]+)/.exec(text)?.[1] ?? text.trim();
}

async function enter(secret) {
  try {
    return await logIn({ token: secret });
  } catch (error) {
    if (error.status !== 401) throw error;
    return logIn({ code: secret });
  }
}
