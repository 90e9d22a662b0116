// The chosen theme, before anything is painted.
"use strict";

try {
  const theme = localStorage.getItem("progresshub.theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // The system's theme it is.
}
