// Before anything is drawn: the colours that were chosen, and whether values are exact. Nothing else may be done here,
// because the page waits for it.
"use strict";
try {
  const theme = localStorage.getItem("playmeter-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
  if (localStorage.getItem("playmeter-exact")) document.documentElement.dataset.exact = "";
} catch {
  // Storage is off: the system's colours.
}
