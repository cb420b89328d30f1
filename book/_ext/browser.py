"""Find the Chromium that prints the PDF edition and in which the tests open the site."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from playwright.sync_api import Browser, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
HOW_TO_GET_ONE = (
    "No Chromium was found (looked for CHROMIUM in the environment, for a browser that Playwright "
    f"installed, and for {', '.join(NAMES)} on the path). "
    "On Debian: apt-get install chromium. Elsewhere: .venv/bin/playwright install chromium, "
    "or CHROMIUM=/path/to/the/browser."
)


def find_browser() -> str | None:
    """Return the path of the browser to use, or None where there is none."""
    if chosen := os.environ.get("CHROMIUM"):
        return which(chosen)
    if found := next(filter(None, map(which, NAMES)), None):
        return found
    with sync_playwright() as playwright:
        own = playwright.chromium.executable_path
    return own if Path(own).exists() else None


@contextmanager
def open_browser(*arguments: str) -> Iterator[Browser]:
    """Open the browser without a window.

    Raises
    ------
    RuntimeError
        If there is none; the message says how to get one.
    """
    path = find_browser()
    if path is None:
        raise RuntimeError(HOW_TO_GET_ONE)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(arguments))
        try:
            yield browser
        finally:
            browser.close()
