/* What the theme leaves to do in the browser. The pages work without it. */
"use strict";

/* Search shows a piece of each page found; a page opened as a file may not read other files. */
if (window.location.protocol === "file:" && typeof DOCUMENTATION_OPTIONS !== "undefined") {
  DOCUMENTATION_OPTIONS.SHOW_SEARCH_SUMMARY = false;
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.addEventListener("click", () => window.print());
}

/* What is wider than its place scrolls inside itself; the keyboard must reach it to scroll it. */
const WIDE =
  "mjx-container[display='true'], div.math, pre, table, .pst-scrollable-table-container, " +
  ".cell_output .output, figure";

function letKeyboardScroll() {
  for (const part of document.querySelectorAll(`article :is(${WIDE})`)) {
    const style = getComputedStyle(part);
    const scrolls = /auto|scroll/.test(style.overflowX) && part.scrollWidth > part.clientWidth;
    if (scrolls) part.tabIndex = 0;
    else if (part.tabIndex === 0) part.removeAttribute("tabindex");
  }
}

window.addEventListener("load", async () => {
  if (window.MathJax?.startup?.promise) await MathJax.startup.promise;
  letKeyboardScroll();
  window.addEventListener("resize", letKeyboardScroll);
  document.addEventListener("toggle", letKeyboardScroll, true); // what was folded has a width now
});
