"""The built site, opened in a real browser: complete in itself, quiet, readable for everybody."""

import ast
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest
from playwright.sync_api import Browser

from browser import HOW_TO_GET_ONE, find_browser, open_browser
from sitelinks import broken, parsed
from visits import PHONE, WIDE, visit
from webhost import Host, serve

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if "_static" not in path.relative_to(HTML).parts
)
READ = [page for page in PAGES if page != "index.html"]  # the root only leads to the first page
CHAPTERS = [page for page in PAGES if re.search(r"/\d\d-[^/]*/index\.html$", page)]
OF_CHAPTERS = [page for page in PAGES if re.search(r"/\d\d-", page) and page not in CHAPTERS]
EXECUTED = sorted(
    path.relative_to(HTML / "_notebooks" / "book").as_posix().removesuffix(".ipynb")
    for path in HTML.glob("_notebooks/book/**/*.ipynb")
)
THEMES = ("light", "dark")

pytestmark = pytest.mark.skipif(
    not (PAGES or os.environ.get("CI")), reason="the book is not built: bash .ci/build"
)


def page_with(selector: str) -> str:
    """Return the first page of a chapter that holds what the selector selects."""
    return next(page for page in OF_CHAPTERS if parsed(HTML / page).select_one(selector))


def test_there_is_a_site():
    assert {"index.html", "book/index.html", "search.html", *CHAPTERS} <= set(PAGES)
    assert len(CHAPTERS) >= 3
    assert len(OF_CHAPTERS) >= 20


def test_root_leads_to_the_first_page(home: str, browser: Browser):
    with browser.new_page() as page:
        page.goto(f"{home}index.html")
        page.wait_for_url(f"{home}book/index.html")


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Open the browser; without one this skips, except where CI says that there must be one."""
    if find_browser() is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(HOW_TO_GET_ONE)
    with open_browser() as opened:
        yield opened


@pytest.fixture(scope="session")
def host() -> Iterator[Host]:
    """Serve the site under a sub-path."""
    with serve(HTML) as serving:
        yield serving


@pytest.fixture(params=["file", "host"])
def home(request: pytest.FixtureRequest) -> str:
    """Return where the site begins: as files, and as a host serves it."""
    if request.param == "file":
        return f"{HTML.as_uri()}/"
    return request.getfixturevalue("host").address


# ------------------------------------------------------------------ complete in itself, and quiet


@pytest.mark.parametrize("name", READ)
def test_opens_quietly_and_asks_for_nothing_elsewhere(name: str, home: str, browser: Browser):
    with visit(browser, home + name, home) as opened:
        assert opened.page.title()
        found = opened.page.evaluate(
            """() => ({
                sources: document.querySelectorAll("article .math").length,
                typeset: document.querySelectorAll("article .math mjx-container").length,
                readable: document.querySelectorAll("article .math mjx-assistive-mml math").length,
                errors: document.querySelectorAll("mjx-merror, [data-mjx-error]").length,
                fonts: [...document.fonts].map(font => [font.family, font.status]),
            })"""
        )
        assert opened.problems == []
        assert opened.elsewhere == []
    assert found["errors"] == 0
    assert found["typeset"] >= found["sources"]
    assert found["readable"] == found["typeset"]
    status = {family.strip('"'): status for family, status in found["fonts"]}
    assert "error" not in status.values()
    assert status["Font Awesome 6 Free"] == "loaded"
    if found["sources"]:
        assert "loaded" in {s for family, s in status.items() if family.startswith("MJX")}


@pytest.mark.parametrize("name", PAGES)
def test_states_a_policy_that_allows_nothing_elsewhere(name: str):
    [policy] = parsed(HTML / name).select("head > meta[http-equiv='Content-Security-Policy']")
    rules = dict(rule.strip().split(" ", 1) for rule in policy["content"].split(";"))
    assert rules.pop("default-src") == "'none'"
    for sources in rules.values():
        kept = re.sub(r"'self'|'none'|data:|'sha256-[\w+/=]+'", "", sources)
        assert kept.strip() in ("", "'unsafe-inline'")
    assert "unsafe" not in rules.get("script-src", "")
    assert not parsed(HTML / name).select("[onclick], [onload], [onerror], a[href^='javascript']")


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str):
    assert broken(HTML / name) == []


def test_size_of_the_site(browser: Browser, host: Host):
    files = [path for path in HTML.rglob("*") if path.is_file()]
    site = sum(p.stat().st_size for p in files if "_notebooks" not in p.relative_to(HTML).parts)
    host.sent.clear()
    with visit(browser, host.address + OF_CHAPTERS[0], host.address):
        _, plain, sent = map(sum, zip(*((0, a, b) for _, a, b in host.sent), strict=True))
    print(f"site {site / 1e6:.1f} MB; first page {sent / 1e6:.2f} MB, {plain / 1e6:.2f} unpacked")
    assert site <= 15e6
    assert sent <= 2e6


@pytest.mark.parametrize("name", ["book/index.html", *CHAPTERS[:1], *OF_CHAPTERS[:1]])
def test_shows_its_largest_part_soon_on_a_slow_machine(name: str, browser: Browser, host: Host):
    times = []
    for _ in range(3):  # a machine that does something else meanwhile says nothing of the page
        context = browser.new_context(viewport={"width": PHONE, "height": 800})
        page = context.new_page()
        context.new_cdp_session(page).send("Emulation.setCPUThrottlingRate", {"rate": 4})
        page.goto(host.address + name)
        times.append(
            page.evaluate(
                """() => new Promise(done => new PerformanceObserver(list =>
            done(list.getEntries().at(-1).startTime)
        ).observe({type: "largest-contentful-paint", buffered: true}))"""
            )
        )
        context.close()
    largest = min(times)
    print(f"{name}: largest contentful paint after {largest / 1e3:.2f} s")
    record = json.loads((ROOT / "_build" / "execution.json").read_text("utf-8"))
    assert largest < 2500 * max(record["pace"], 1.0)  # milliseconds on the reference machine


# ------------------------------------------------------------------ for everybody


@pytest.mark.parametrize(("width", "theme"), [(WIDE, "light"), (PHONE, "dark")])
@pytest.mark.parametrize("name", READ)
def test_no_accessibility_violation(
    name: str, width: int, theme: str, browser: Browser, host: Host
):
    with visit(browser, host.address + name, host.address, width, theme) as opened:
        assert opened.page.evaluate("document.documentElement.dataset.theme") == theme
        assert opened.violations() == []


@pytest.mark.parametrize("theme", THEMES)
def test_no_accessibility_violation_with_everything_open(theme: str, browser: Browser, host: Host):
    name = page_with("details.folded")
    with visit(browser, host.address + name, host.address, WIDE, theme) as opened:
        for button in opened.page.locator(".solution .toggle-button").all():
            button.click()
        for summary in opened.page.locator("details:is(.hide, .folded) > summary").all():
            summary.click()
        opened.page.locator(".dropdown-download-buttons > button").click()
        assert opened.violations() == []


@pytest.mark.parametrize("name", READ)
def test_nothing_is_wider_than_a_phone(name: str, browser: Browser, host: Host):
    with visit(browser, host.address + name, host.address, PHONE) as opened:
        for width in (PHONE, 320):
            opened.page.set_viewport_size({"width": width, "height": 900})
            assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_keyboard_reaches_text_search_theme_and_solutions(browser: Browser, host: Host):
    with visit(browser, host.address + page_with(".solution.dropdown"), host.address) as opened:
        page = opened.page
        page.keyboard.press("Tab")
        assert page.evaluate("document.activeElement.textContent") == "Skip to main content"
        page.keyboard.press("Enter")
        assert page.url.endswith("#main-content")
        page.keyboard.press("Control+k")
        assert page.evaluate("document.activeElement.type") == "search"
        page.keyboard.press("Escape")
        assert not page.locator(".search-button__search-container").is_visible()
        page.locator(".theme-switch-button").first.focus()
        before = page.evaluate("document.documentElement.dataset.mode")
        page.keyboard.press("Enter")
        assert page.evaluate("document.documentElement.dataset.mode") != before
        solution = page.locator(".solution.dropdown").first
        code = solution.locator("pre").first
        assert not code.is_visible()
        solution.locator(".toggle-button").focus()
        page.keyboard.press("Enter")
        assert code.is_visible()


def test_a_folded_proof_opens_by_keyboard_and_for_links_into_it(browser: Browser, host: Host):
    name = page_with("details.folded [id]:not(.proof)")
    inside = parsed(HTML / name).select_one("details.folded [id]:not(.proof)")["id"]
    proof = "details.folded:has([id='%s'])" % inside.replace("'", "")  # noqa: UP031
    with visit(browser, host.address + name, host.address) as opened:
        fold = opened.page.locator(proof)
        text = fold.locator("p").first
        assert not text.is_visible()
        fold.locator("summary").focus()
        opened.page.keyboard.press("Enter")
        assert text.is_visible()
    with visit(browser, f"{host.address}{name}#{inside}", host.address) as opened:
        assert opened.page.locator(proof).locator("p").first.is_visible()


def test_keyboard_can_scroll_what_is_wide(browser: Browser, host: Host):
    name = page_with("table, div.math")
    with visit(browser, host.address + name, host.address, PHONE) as opened:
        stuck = opened.page.evaluate(
            """() => [...document.querySelectorAll("article *")].filter(part =>
                /auto|scroll/.test(getComputedStyle(part).overflowX)
                && part.clientWidth > 0 && part.scrollWidth > part.clientWidth
                && part.tabIndex < 0).map(part => part.outerHTML.slice(0, 120))"""
        )
        assert stuck == []
        assert opened.page.locator("article [tabindex='0']").count() > 0


def test_less_motion_where_the_reader_asks_for_it(browser: Browser, host: Host):
    moving = """() => [...document.querySelectorAll("body *")].filter(part => {
        const style = getComputedStyle(part);
        return parseFloat(style.transitionDuration) > 0.01 || style.animationName !== "none";
    }).length + (getComputedStyle(document.documentElement).scrollBehavior === "smooth")"""
    counts = {}
    for wish in ("no-preference", "reduce"):
        address = host.address + "book/index.html"
        with visit(browser, address, host.address, reduced_motion=wish) as opened:
            counts[wish] = opened.page.evaluate(moving)
    assert counts["reduce"] == 0 < counts["no-preference"]


# ------------------------------------------------------------------ the reader's tools


def test_search_finds_sherman(home: str, browser: Browser):
    with visit(browser, f"{home}search.html?q=Sherman", home) as opened:
        found = opened.page.locator("#search-results .search li a")
        found.first.wait_for()
        links = found.evaluate_all("links => links.map(link => link.href)")
        opened.page.wait_for_timeout(500)  # summaries, where they can be read
        assert any("/02-linucb/" in link for link in links)
        assert opened.problems == []


def test_search_box_leads_to_the_results(browser: Browser, host: Host):
    with visit(browser, host.address + "book/index.html", host.address) as opened:
        boxes = opened.page.locator("input[type=search]")
        assert boxes.count() == 1
        opened.page.keyboard.press("Control+k")
        opened.page.keyboard.type("Sherman")
        opened.page.keyboard.press("Enter")
        opened.page.wait_for_url("**/search.html?q=Sherman")


def test_theme_switch_changes_the_page_and_is_remembered(browser: Browser, host: Host):
    colours = {}
    with visit(browser, host.address + "book/appendices/notation.html", host.address) as opened:
        page = opened.page
        for _ in range(3):  # auto, light, dark
            page.locator(".theme-switch-button").first.click()
            theme = page.evaluate("document.documentElement.dataset.theme")
            colours[theme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
            chosen = page.evaluate("document.documentElement.dataset.mode")
        assert len(set(colours.values())) == 2
        page.goto(host.address + OF_CHAPTERS[0])
        assert page.evaluate("document.documentElement.dataset.mode") == chosen


def test_figures_stand_on_a_light_ground_in_the_dark(browser: Browser, host: Host):
    name = page_with("figure img")
    with visit(browser, host.address + name, host.address, theme="dark") as opened:
        grounds = opened.page.evaluate(
            """() => [...document.querySelectorAll("article img")].map(image =>
                getComputedStyle(image).backgroundColor + getComputedStyle(image).filter)"""
        )
        assert set(grounds) == {"rgb(247, 248, 250)none"}


def test_tables_of_results_can_be_read_in_the_dark(browser: Browser, host: Host):
    # axe says nothing of text in the very colour of its ground, which it takes for hidden.
    name = page_with(".text_html > table.results")
    with visit(browser, host.address + name, host.address, theme="dark") as opened:
        grounds = opened.page.evaluate(
            """() => [...document.querySelectorAll(".text_html:has(table.results)")].map(ground =>
                getComputedStyle(ground).backgroundColor)"""
        )
        assert set(grounds) == {"rgba(0, 0, 0, 0)"}  # the page's own, on which its text is read


def test_a_reference_previews_what_it_names(home: str, browser: Browser):
    with visit(browser, home + page_with("a.reference.internal[href^='#fig-']"), home) as opened:
        page = opened.page
        link = page.locator("article a.reference.internal[href^='#fig-']").first
        link.scroll_into_view_if_needed()
        link.focus()
        preview = page.locator("#preview")
        preview.wait_for(state="visible")
        assert preview.locator("figcaption").inner_text().startswith("Fig. 1.")
        page.keyboard.press("Escape")
        preview.wait_for(state="hidden")
        link.hover()
        preview.wait_for(state="visible")
        assert opened.problems == []


@pytest.mark.parametrize("name", OF_CHAPTERS)
def test_each_page_has_an_opening_and_neighbours(name: str):
    page = parsed(HTML / name)
    [opening] = page.select("article dl.opening")
    cost = opening.select("dd")[-1].get_text()
    assert re.match(r"About \d+ minutes? to read(?:, and \d+ seconds? of computing.*)?\.$", cost)
    assert len(page.select(".prev-next-area a")) == 2
    assert page.select_one("section > h1 + dl.opening")


@pytest.mark.parametrize("name", CHAPTERS)
def test_each_chapter_begins_with_a_map_of_its_pages(name: str):
    folder = name.removesuffix("index.html")
    page = parsed(HTML / name)
    links = [link["href"] for link in page.select("ul.chapter-map > li > p:first-child > a")]
    assert sorted(folder + link for link in links) == [
        other for other in OF_CHAPTERS if other.startswith(folder)
    ]
    numbers = [link.get_text().split()[0] for link in page.select("ul.chapter-map li a span")]
    chapter = page.article.h1.get_text().split(".")[0]
    assert numbers == [f"{chapter}.{n}" for n in range(1, len(links) + 1)]
    assert all(len(item.select("p")) == 2 for item in page.select("ul.chapter-map > li"))


def test_a_page_has_an_outline_and_copy_buttons(browser: Browser, host: Host):
    with visit(browser, host.address + page_with("section section"), host.address) as opened:
        assert opened.page.locator(".bd-sidebar-secondary nav a").count() >= 2
        assert opened.page.locator("button.copybtn").count() >= 3


# ------------------------------------------------------------------ taking it away


def test_downloads_are_offered_and_open(tmp_path: Path, browser: Browser, host: Host):
    for name in OF_CHAPTERS[::10]:
        with visit(browser, host.address + name, host.address) as opened:
            links = opened.page.locator(".dropdown-download-buttons a").evaluate_all(
                "links => links.map(link => link.href)"
            )
            texts = {Path(link).suffix: opened.page.request.get(link).body() for link in links}
        assert set(texts) == {".ipynb", ".md", ".pdf"}
        assert texts[".md"] == (ROOT / name).with_suffix(".md").read_bytes()
        assert texts[".pdf"].startswith(b"%PDF-")
        nbformat.validate(nbformat.reads(texts[".ipynb"].decode(), as_version=4))


@pytest.mark.parametrize("stem", EXECUTED)
def test_notebook_is_the_executed_page(stem: str):
    taken = nbformat.read(HTML / "_notebooks" / "book" / f"{stem}.ipynb", as_version=4)
    executed = ROOT / "_build" / "jupyter_execute" / "book" / f"{stem}.ipynb"
    cells = {
        path: [c for c in nbformat.read(path, as_version=4).cells if c.cell_type == "code"]
        for path in (executed, HTML / "_notebooks" / "book" / f"{stem}.ipynb")
    }
    assert len(cells[executed]) > 0
    for one, other in zip(*cells.values(), strict=True):
        assert one.source == other.source
        assert one.outputs == other.outputs
    text = "".join(cell.source for cell in taken.cells if cell.cell_type == "markdown")
    assert "{glue" not in text


@pytest.mark.parametrize("stem", EXECUTED)
def test_page_says_how_it_was_verified(stem: str):
    line = parsed(HTML / "book" / f"{stem}.html").select_one("article > section > p.verified")
    said = " ".join(line.get_text().split())
    executed = ROOT / "_build" / "jupyter_execute" / "book" / f"{stem}.ipynb"
    cells = [c for c in nbformat.read(executed, as_version=4).cells if c.cell_type == "code"]
    asserted = sum(
        any(isinstance(node, ast.Assert) for node in ast.walk(statement))
        for cell in cells
        if "claim" in cell.metadata.get("tags", [])
        for statement in ast.parse(cell.source).body
    )
    assert re.search(rf"\b{len(cells)} cells? executed in", said)
    assert re.search(r"from commit (?:[0-9a-f]{10}|unknown)", said)
    if asserted:
        claims = f"{asserted} claim{'s' if asserted > 1 else ''}"
        assert f"; {claims} asserted; " in said
        assert re.search(rf"; \d+ of {claims} held in unseen worlds\.", said)
    else:
        assert "claim" not in said
    second = ROOT / "_build" / "second-run.json"
    if os.environ.get("CI") or second.exists():
        counts = json.loads(second.read_text("utf-8"))[f"book/{stem}"]
        compared, numbers = counts["compared"], counts["numbers"]
        assert re.search(rf"outputs of {compared} cells? and {numbers} numbers? in", said)
        assert counts["compared"] + counts["glue"] + counts["timing"] == len(cells)
    else:
        assert "not yet compared" in said


# ------------------------------------------------------------------ would these tests notice?

BAD = """<!DOCTYPE html><html><head><title>Bad</title></head><body>
<img src="http://192.0.2.1/picture.png"><p style="color: #bbb; width: 900px">pale</p>
<a href="missing.html">gone</a> <a href="#nowhere">nowhere</a> <a href="#here" id="here">here</a>
<script>console.error("loud"); undefinedFunction();</script></body></html>"""


def test_a_bad_page_is_noticed(tmp_path: Path, browser: Browser):
    (tmp_path / "bad.html").write_text(BAD, "utf-8")
    assert [line.split(": ")[1] for line in broken(tmp_path / "bad.html")] == [
        "missing.html is no file",
        "#nowhere is no place on that page",
    ]
    with serve(tmp_path) as bad, visit(browser, bad.address + "bad.html", bad.address) as opened:
        assert {"image-alt", "color-contrast", "html-has-lang"} <= {
            violation.split(" ")[0] for violation in opened.violations()
        }
        assert opened.elsewhere == ["http://192.0.2.1/picture.png"]
        assert any("loud" in problem for problem in opened.problems)
        assert any("undefinedFunction" in problem for problem in opened.problems)
