"""Open a page in the browser and notice whatever is wrong with it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import axe_playwright_python
from playwright.sync_api import Browser, Page

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDE, PHONE = 1400, 390

# Everything is there: scripts, formulas, fonts; and what the scripts do after loading is done.
SETTLED = """async () => {
    if (document.readyState !== "complete")
        await new Promise(done => window.addEventListener("load", done));
    if (window.MathJax) await MathJax.startup.promise;
    await document.fonts.ready;
    await new Promise(done => setTimeout(done, 50));
}"""
RUN_AXE = """async rules => {
    const options = {runOnly: rules, preload: false, resultTypes: ["violations"]};
    const found = await axe.run(document, options);
    return found.violations.map(
        v => `${v.id} (${v.nodes.length}): ${v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))}`);
}"""


@dataclass
class Visit:
    """An open page, what went wrong on it, and what it asked for elsewhere."""

    page: Page
    problems: list[str]
    elsewhere: list[str]

    def violations(self) -> list[str]:
        """Return what axe-core objects to, in the state in which the page is now."""
        self.page.evaluate(AXE)
        return self.page.evaluate(RUN_AXE, RULES)


@contextmanager
def visit(
    browser: Browser,
    address: str,
    home: str,
    width: int = WIDE,
    theme: str = "light",
    **context: str,
) -> Iterator[Visit]:
    """Open the address in a fresh context; what does not begin with ``home`` is elsewhere."""
    opened = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=theme, **context
    )
    try:
        visited = Visit(opened.new_page(), [], [])
        watch(visited, home)
        visited.page.goto(address)
        visited.page.evaluate(SETTLED)
        yield visited
    finally:
        opened.close()


def watch(visited: Visit, home: str) -> None:
    """Note every message, error, failed request and request elsewhere from now on."""
    note, page = visited.problems.append, visited.page
    page.on(
        "console", lambda m: m.type in ("warning", "error") and note(f"{m.type}: {m.text[:300]}")
    )
    page.on("pageerror", lambda error: note(f"error: {error}"))
    page.on("requestfailed", lambda r: note(f"failed: {r.url} {r.failure}"))
    page.on("response", lambda r: r.status >= 400 and note(f"status {r.status}: {r.url}"))
    own = (home, "data:", "blob:")
    page.on("request", lambda r: r.url.startswith(own) or visited.elsewhere.append(r.url))
