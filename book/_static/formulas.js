/* Fonts for formulas on a page that was opened as a file: browsers refuse it font files, so it gets
   the fonts as data. A page from a server loads just the font files that it needs. */
"use strict";

window.MathJax.startup = {
  ready() {
    if (window.bookFonts) {
      const faces = MathJax._.output.chtml.fonts.tex_ts.TeXFont.defaultFonts;
      for (const face of Object.values(faces)) {
        face.src = face.src.replace(
          /url\("%%URL%%\/([^"]+)"\)/,
          (_, file) => `url("${window.bookFonts[file]}")`,
        );
      }
    }
    MathJax.startup.defaultReady();
  },
};

if (window.location.protocol === "file:") {
  window.MathJax.loader.load.push("[mathjax]/fonts.js");
  window.MathJax.loader.versionWarnings = false; // the fonts come without one
}
