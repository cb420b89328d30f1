"""Find the Chromium that prints the PDF edition and in which the tests open the site."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import which

from playwright.sync_api import Browser, Error, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")
STARTS_WITHIN = 60  # seconds, on a busy machine
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
        browser = playwright.chromium.launch(
            executable_path=path, args=list(arguments), timeout=1e3 * STARTS_WITHIN
        )
        try:
            yield browser
        finally:
            browser.close()


def why_no_browser() -> str | None:
    """Return why no browser can be opened here, or None where one opens."""
    try:
        with open_browser():
            return None
    except (Error, OSError, RuntimeError) as error:
        path, [said, *_] = find_browser(), str(error).splitlines() or [type(error).__name__]
        return said if path is None else f"{path} is there and does not start: {said}"
