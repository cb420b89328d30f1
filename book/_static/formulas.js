/* Fonts for formulas on a page that was opened as a file: browsers refuse it font files, so it gets
   the fonts as data. A page from a server loads just the font files that it needs. */
"use strict";

function useFontsFromData() {
  const faces = MathJax._.output.chtml.fonts.tex_ts.TeXFont.defaultFonts;
  for (const face of Object.values(faces)) {
    const [, file] = face.src.match(/url\("%%URL%%\/([^"]+)"\)/);
    face.src = `url("${window.bookFonts[file]}") format("woff")`;
  }
}

/* A page without formulas has no configuration of MathJax. */
if (window.MathJax && window.location.protocol === "file:") {
  window.MathJax.loader.load.push("[mathjax]/fonts.js");
  window.MathJax.loader.versionWarnings = false; // the fonts come without one
  window.MathJax.startup = {
    ready() {
      useFontsFromData();
      MathJax.startup.defaultReady();
    },
  };
}
