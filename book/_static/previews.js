/* A look at what a reference names - a figure, a table, an equation, a result, an exercise, a work -
   while the pointer or the keyboard rests on it. Who does not see it loses nothing: the link leads
   there. What stands on another page can be shown only if the site comes from a server. */
"use strict";

const LINKS = "article a[href*='#']:not(.headerlink)";
const SHOWN = "figure, table, .math, .proof, .exercise, .citation";
const WAIT = 150; // milliseconds: a pointer that only passes opens nothing

const preview = document.createElement("div");
preview.id = "preview";
preview.hidden = true;
preview.setAttribute("aria-hidden", "true"); // a second copy of what the link leads to
document.body.append(preview);
let timer = 0;

async function pageOf(url) {
  if (url.pathname === window.location.pathname) return document;
  if (window.location.protocol === "file:") return null;
  const answer = await fetch(url.pathname);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

/* The thing itself, or the one that the named anchor stands in. */
function named(page, id) {
  const anchor = page.getElementById(id);
  if (!anchor || anchor.matches("section, h1, h2, h3, h4")) return null;
  return anchor.closest(SHOWN) ?? anchor.querySelector(SHOWN);
}

function copyOf(thing, url) {
  const copy = document.importNode(thing, true);
  for (const part of [copy, ...copy.querySelectorAll("*")]) {
    for (const name of ["id", "tabindex", "href"]) part.removeAttribute(name);
    if (part.matches("img")) part.src = new URL(thing.querySelector("img").getAttribute("src"), url);
  }
  for (const part of copy.querySelectorAll("button, .headerlink")) part.remove();
  return copy;
}

async function show(link) {
  const url = new URL(link.href);
  if (url.origin !== window.location.origin) return;
  const page = await pageOf(url);
  const thing = page && named(page, decodeURIComponent(url.hash.slice(1)));
  if (!thing || thing.contains(link)) return;
  preview.replaceChildren(copyOf(thing, url));
  if (page !== document && window.MathJax) await MathJax.typesetPromise([preview]);
  preview.hidden = false;
  const at = link.getBoundingClientRect();
  const below = at.bottom + preview.offsetHeight + 8 < window.innerHeight;
  const left = Math.min(at.left, window.innerWidth - preview.offsetWidth - 16);
  preview.style.left = `${Math.max(8, left)}px`;
  preview.style.top = `${below ? at.bottom + 4 : Math.max(8, at.top - preview.offsetHeight - 4)}px`;
}

function hide() {
  clearTimeout(timer);
  preview.hidden = true;
}

function soon(action) {
  clearTimeout(timer);
  timer = setTimeout(action, WAIT);
}

for (const link of document.querySelectorAll(LINKS)) {
  link.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && soon(() => show(link)));
  link.addEventListener("pointerleave", () => soon(hide));
  link.addEventListener("focus", () => link.matches(":focus-visible") && show(link));
  link.addEventListener("blur", hide);
}
preview.addEventListener("pointerenter", () => clearTimeout(timer));
preview.addEventListener("pointerleave", () => soon(hide));
document.addEventListener("keydown", (event) => event.key === "Escape" && hide());
