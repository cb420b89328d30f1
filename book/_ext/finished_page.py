"""Touch up every page after the theme has rendered it, and before it is written.

Other extensions take part by the event ``page-finished``: they get the application, the page's
name and its parsed HTML, which they change in place.
"""

import re
from typing import Any

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

ICONS = re.compile(r"vendor/fontawesome/")


def use_local_icons(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Replace the theme's Font Awesome by the sheet that `local_icons` makes."""
    root = page.html["data-content_root"]
    for tag in page.find_all(["link", "script"]):
        if ICONS.search(tag.get("href") or tag.get("src") or ""):
            tag.decompose()
    page.head.append(page.new_tag("link", rel="stylesheet", href=f"{root}_static/icons.css"))


def hide_icons(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Tell screen readers to pass over icons: the words beside them say the same."""
    for icon in page.select("i[class*='fa-']"):
        icon["aria-hidden"] = "true"


def name_landmarks(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Put everything that a reader meets into a landmark with a name of its own."""
    if sidebar := page.select_one(".bd-sidebar-primary"):
        sidebar["role"], sidebar["aria-label"] = "region", "Book"


def name_toggles(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Give the arrows beside the chapters, which show their pages, a name."""
    for toggle in page.select(".bd-sidebar-primary li > details > summary"):
        toggle["aria-label"] = f"Pages of {toggle.find_parent('li').a.get_text(strip=True)}"


def list_works(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Make the bibliography a list of items; its own roles for them are deprecated."""
    for entry in page.select("[role='doc-biblioentry']"):
        entry["role"] = "listitem"


def load_late(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Let the browser fetch a figure when the reader comes near it."""
    for image in page.select("article img"):
        image["loading"] = "lazy"


def say_viewport_once(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Keep one of the viewports that several layers of the theme state."""
    for tag in page.head.find_all("meta", attrs={"name": "viewport"})[1:]:
        tag.decompose()


STEPS = (
    use_local_icons,
    hide_icons,
    name_landmarks,
    name_toggles,
    list_works,
    load_late,
    say_viewport_once,
)


def wrap_renderer(app: Sphinx) -> None:
    """Make every rendered page pass through the steps and the event."""
    if app.builder.format != "html":
        return
    render = app.builder.templates.render

    def finished(template: str, context: dict[str, Any]) -> str:
        html = render(template, context)
        page = BeautifulSoup(html, "html.parser")
        if page.html is None:
            return html  # a part of the theme's, not a page
        app.emit("page-finished", context["pagename"], page)
        return page.decode(formatter="html5")

    app.builder.templates.render = finished


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the event, and this module's own steps as the first that listen to it."""
    app.add_event("page-finished")
    app.connect("builder-inited", wrap_renderer)
    for step in STEPS:
        app.connect("page-finished", step, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
