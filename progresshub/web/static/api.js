// The server's API: JSON there and back, and refusals as errors that people can read.

const SESSION_MS = 5_000;

/** `status` is 0 when the server could not be reached. */
export class ApiError extends Error {
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/** An address of the server, from a path below its base. */
export const url = (path) => new URL(path, document.baseURI);

export async function request(path, options = {}) {
  let response;
  try {
    response = await fetch(url(path), { credentials: "same-origin", ...options });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError(0, "unreachable", "The server can't be reached.");
  }
  if (response.ok) return response;
  const said = await response.json().catch(() => ({}));
  if (response.status === 401) dispatchEvent(new Event("unauthorized"));
  const code = said.code ?? said.error ?? String(response.status);
  throw new ApiError(response.status, code, said.message ?? said.error ?? `The server answered ${response.status}.`);
}

export async function getJson(path, options) {
  return (await request(path, options)).json();
}

/** Sends JSON; gives the answer's JSON, null where there is none. */
export async function send(method, path, body) {
  const given = body === undefined ? {} : { body: JSON.stringify(body), headers: { "Content-Type": "application/json" } };
  const response = await request(path, { method, ...given });
  return response.status === 204 ? null : response.json();
}

export const getTask = (id, options) => getJson(`api/v1/tasks/${encodeURIComponent(id)}`, options);
export const cancelTask = (id) => send("POST", `api/v1/tasks/${encodeURIComponent(id)}/cancel`);
export const retryTask = (id) => send("POST", `api/v1/tasks/${encodeURIComponent(id)}/retry`);
export const deleteTask = (id) => send("DELETE", `api/v1/tasks/${encodeURIComponent(id)}`);
export const changeQueue = (name, change) => send("PATCH", `api/v1/queues/${encodeURIComponent(name)}`, change);
export const queueStats = () => getJson("api/v1/queues/stats");
export const session = () => getJson("-/session", { signal: AbortSignal.timeout(SESSION_MS) });
export const logIn = (given) => send("POST", "-/login", given);
export const logOut = () => send("POST", "-/logout");
