"""A playground in the page: the reader plays a small shop against LinUCB and ε-greedy.

The directive ``playground`` puts the skeleton ``playground.html`` into a page; the scripts
``playground.js`` (arithmetic) and ``playground-view.js`` (what is seen) fill it. The shop is a
``recsys.shop.Shop``; its numbers are written to ``_static/playground-data.js``. Pages without
the directive load none of this, and nothing is loaded from elsewhere.
"""

import json
from pathlib import Path

import numpy as np
from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective

from recsys.shop import CATEGORIES, PRICE_TIERS, USER_FEATURES, Shop, ShopConfig
from written import write_text

SKELETON = Path(__file__).with_name("playground.html")
DATA = "playground-data.js"
SCRIPTS = (DATA, "playground.js", "playground-view.js")
STYLE = "playground.css"
ELSEWHERE = (
    "The web edition has a playground here, in which the reader plays a shop of six products "
    "against LinUCB and ε-greedy."
)

# The smallest seed with a product of every category among its six, so that the trend finds a
# favourite to replace and a product of its own. Nobody's result was looked at in the choice.
CONFIG, SEED = ShopConfig(n_users=200, n_products=6), 2
ROUNDS, STREAMS = 2_000, 4  # visits of one stream; streams that follow each other in the shop
SETTINGS = {
    "alpha": 0.1,
    "ridge": 0.3,
    "epsilon": 0.05,
}  # LinUCB's and ε-greedy's ε in the chapter's arena


def _rounded(array: np.ndarray, digits: int = 4) -> list:
    return array.round(digits).tolist()


def playground_data() -> dict:
    """Return what the scripts know of the shop, with recsys' names, rounded to save bytes.

    At strength s of the trend the log-affinities are (1 - s) ``log_affinity`` + s
    ``log_affinity_after``.
    """
    shop = Shop(CONFIG, SEED)
    shop.shock(at=1)
    before, after = shop.log_affinity(0), shop.log_affinity(1)  # of the trend
    users, products = shop.users, shop.products
    visits = [shop.visits(n * ROUNDS, ROUNDS) for n in range(STREAMS)]
    return {
        "settings": SETTINGS,
        "base_logit": CONFIG.base_logit,
        "affinity_weight": CONFIG.affinity_weight,
        "categories": list(CATEGORIES),
        "price_tiers": list(PRICE_TIERS),
        "user_features": list(USER_FEATURES),
        "features": _rounded(users.features),
        "log_affinity": _rounded(before),
        "log_affinity_after": _rounded(after),
        "price_sensitivity": _rounded(users.price_sensitivity),
        "products": {
            "category": products.category.tolist(),
            "price": products.price.tolist(),
            "quality": _rounded(products.quality),
        },
        "streams": [
            {"users": stream.users.tolist(), "uniforms": _rounded(stream.uniforms, 5)}
            for stream in visits
        ],
    }


def data_script() -> str:
    """Return the data as a script, which works where a page may not fetch (``file://``)."""
    text = json.dumps(playground_data(), separators=(",", ":"), ensure_ascii=True)
    return f"window.playgroundData = {text};\n"


class PlaygroundDirective(SphinxDirective):
    """``playground``: no argument, no option, no content; once in a page."""

    def run(self) -> list[nodes.Node]:
        """Return the skeleton for HTML, and a sentence for all other builders."""
        self.env.metadata[self.env.docname]["playground"] = True
        self.env.note_dependency(str(SKELETON))
        elsewhere = addnodes.only("", nodes.paragraph(text=ELSEWHERE), expr="not html")
        return [nodes.raw("", SKELETON.read_text("utf-8"), format="html"), elsewhere]


def add_files(
    app: Sphinx, pagename: str, templatename: str, context: dict, doctree: nodes.document | None
) -> None:
    """Let a page that has the playground load its files; Sphinx forgets them after the page."""
    if app.env.metadata.get(pagename, {}).get("playground"):
        app.add_css_file(STYLE)
        for script in SCRIPTS:
            app.add_js_file(script, loading_method="defer")


def write_data(app: Sphinx, env: BuildEnvironment) -> None:
    """Write the data for a site in which a page has the playground, before pages refer to it."""
    used = any(entry.get("playground") for entry in env.metadata.values())
    if app.builder.format == "html" and used:
        write_text(Path(app.outdir) / "_static" / DATA, data_script())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive and the two steps with Sphinx."""
    app.add_directive("playground", PlaygroundDirective)
    app.connect("env-updated", write_data)
    app.connect("html-page-context", add_files)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
