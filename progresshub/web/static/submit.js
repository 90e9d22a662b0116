// Hands a new task in, with the files that belong to it; how much of them is sent is told on the way.

import { ApiError, send, url } from "./api.js";

/** `sent(share)` hears how much of the files is on its way, 0 to 1. */
export function submit(task, files, { signal, sent }) {
  if (!files.length) return send("POST", "api/v1/tasks", task);
  const form = new FormData();
  form.append("task", JSON.stringify(task));
  for (const file of files) form.append("file", file, file.name);
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest(); // fetch tells nothing of an upload
    request.open("POST", url("api/v1/tasks"));
    request.upload.addEventListener("progress", ({ loaded, total }) => sent(total ? loaded / total : 0));
    request.addEventListener("load", () => answered(request, resolve, reject));
    request.addEventListener("error", () => reject(new ApiError(0, "unreachable", "The server can't be reached.")));
    request.addEventListener("abort", () => reject(new DOMException("left", "AbortError")));
    signal.addEventListener("abort", () => request.abort(), { once: true });
    request.send(form);
  });
}

function answered(request, resolve, reject) {
  let said = {};
  try {
    said = JSON.parse(request.responseText);
  } catch {
    // It is told by its status alone.
  }
  if (request.status === 201) resolve(said);
  else reject(new ApiError(request.status, said.code ?? "", said.error ?? `The server answered ${request.status}.`));
}
