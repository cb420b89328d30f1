"""Let every page state that it takes nothing from elsewhere: a strict Content-Security-Policy.

Scripts come from files of the site; the theme's inline scripts are allowed one by one, by their
hash. Styles may be inline, because MathJax and figures set them. Nothing else is allowed at all.
"""

from base64 import b64encode
from hashlib import sha256

from bs4 import BeautifulSoup
from sphinx.application import Sphinx

POLICY = (
    "default-src 'none'; script-src 'self'{hashes}; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; font-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'"
)


def policy(page: BeautifulSoup) -> str:
    """Return the policy that allows the page's own inline scripts and no others."""
    scripts = {script.string for script in page.find_all("script", src=False) if script.string}
    digests = [b64encode(sha256(script.encode()).digest()).decode() for script in sorted(scripts)]
    return POLICY.format(hashes="".join(f" 'sha256-{digest}'" for digest in digests))


def state_policy(app: Sphinx, pagename: str, page: BeautifulSoup) -> None:
    """Replace inline handlers, which no hash can allow, and put the policy into the page's head."""
    for button in page.select("[onclick='window.print()']"):
        del button["onclick"]
        button["data-print"] = ""  # book.js listens
    content = {"http-equiv": "Content-Security-Policy", "content": policy(page)}
    page.head.find("meta", charset=True).insert_after(page.new_tag("meta", attrs=content))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the policy as the last that touches a page."""
    app.connect("page-finished", state_policy, priority=900)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
