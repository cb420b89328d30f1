"""The extensions that finish the pages: each on a small example, and on one that it must refuse."""

import json
from collections import Counter
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import pytest
from bs4 import BeautifulSoup
from fontTools.ttLib import TTFont
from matplotlib import get_data_path
from nbformat.v4 import new_code_cell, new_notebook

import local_icons
import security_policy
import social
import take_away
import verified
from nbval_glue import by_page


def test_a_font_is_cut_down_to_what_is_used():
    whole = Path(get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    small = TTFont(BytesIO(local_icons.subset(whole, {"41", "3b1"})))
    assert set(small.getBestCmap()) == {0x41, 0x3B1}
    assert small.flavor == "woff"


def test_code_points_are_read_from_the_sheet_of_icons():
    css = '.fa-a:before{content:"\\f001"}.fa-b:before,.fa-c-d:before{content:"\\f0a2"}'
    assert local_icons.code_points(css) == {"fa-a": "f001", "fa-b": "f0a2", "fa-c-d": "f0a2"}


def test_a_build_that_writes_no_page_keeps_the_icons_of_the_one_before(tmp_path: Path):
    sheet = tmp_path / "_static" / "icons.css"
    sheet.parent.mkdir()
    sheet.write_text("made before", "utf-8")  # and Font Awesome has gone out of the site
    app = SimpleNamespace(outdir=tmp_path, builder=SimpleNamespace(format="html"))
    local_icons.make_icons(app, None)
    assert sheet.read_text("utf-8") == "made before"


def test_records_of_searches_go_where_notebooks_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    root, build = tmp_path / "root", tmp_path / "_build"
    (root / "book" / "01-a").mkdir(parents=True)
    (root / "book" / "01-a" / "settings.json").write_text('{"a": 1}', "utf-8")
    monkeypatch.setattr(take_away, "ROOT", root)
    app = SimpleNamespace(outdir=str(build / "html"))
    take_away.bring_records(app, ValueError("the build failed"))
    assert not build.exists()
    take_away.bring_records(app, None)
    for folder in ("jupyter_execute", "html/_notebooks"):
        brought = build / folder / "book" / "01-a" / "settings.json"
        assert brought.read_text("utf-8") == '{"a": 1}'


def test_policy_allows_exactly_the_inline_scripts_of_the_page():
    page = BeautifulSoup("<script>alert(1)</script><script src='a.js'></script>", "html.parser")
    # openssl dgst -sha256 -binary | base64, of the script's text
    digest = "bhHHL3z2vDgxUt0W3dWQOrprscmda2Y5pLsLg4GF+pI="
    assert f"script-src 'self' 'sha256-{digest}';" in security_policy.policy(page)
    assert "sha256" not in security_policy.policy(BeautifulSoup("<p>x</p>", "html.parser"))


def test_a_page_is_described_with_its_address_only_where_one_is_known():
    html = (
        "<html data-content_root='../'><head><meta name='description' content='What it is.'></head>"
        "<article><h1>Title<a class='headerlink'>#</a></h1></article></html>"
    )
    builder = SimpleNamespace(get_target_uri=lambda name: f"{name}.html")
    found = {}
    for base in ("", "https://example.org/book/"):
        config = SimpleNamespace(html_baseurl=base, html_title="The Book")
        page = BeautifulSoup(html, "html.parser")
        social.describe(SimpleNamespace(config=config, builder=builder), "a/page", page)
        found[base] = {tag["property"]: tag["content"] for tag in page.select("[property]")}
    local, public = found.values()
    assert local["og:description"] == "What it is." and local["og:title"] == "Title"
    assert local["og:image"] == "../_static/card.png" and "og:url" not in local
    assert public["og:image"] == "https://example.org/book/_static/card.png"
    assert public["og:url"] == "https://example.org/book/a/page.html"


def test_the_line_counts_cells_and_claims():
    claim = new_code_cell("assert 1 < 2\nfor x in (1, 2):\n    assert x")
    claim.metadata["tags"] = ["claim"]
    notebook = new_notebook(cells=[claim, new_code_cell("assert True")])
    said = verified.first_run(notebook, 61.2, "0123456789")
    assert said.startswith(
        "2 cells executed in 61 seconds from commit 0123456789; 2 claims asserted; "
    )
    without = new_notebook(cells=[new_code_cell("assert True")])
    assert verified.first_run(without, 1.0, "x") == "1 cell executed in 1 second from commit x; "


def test_a_page_is_stamped_once(tmp_path: Path):
    page = tmp_path / "book" / "page.html"
    page.parent.mkdir()
    page.write_text(f'<p><span class="second-run">{verified.OPEN}</span>.</p>', "utf-8")
    path = Path("x") / "jupyter_execute" / "book" / "page.ipynb"
    counts = by_page({path: Counter(compared=3, numbers=7, glue=1)})
    assert counts == {"book/page": {"compared": 3, "glue": 1, "timing": 0, "numbers": 7}}
    verified.stamp(tmp_path, json.loads(json.dumps(counts)))
    said = "outputs of 3 cells and 7 numbers in the text reproduced by a second run"
    assert page.read_text("utf-8") == f'<p><span class="second-run">{said}</span>.</p>'


def test_nothing_is_stamped_if_one_page_has_no_place_for_it(tmp_path: Path):
    page = f'<p><span class="second-run">{verified.OPEN}</span>.</p>'
    (tmp_path / "a.html").write_text(page, "utf-8")
    (tmp_path / "b.html").write_text("<p>no place for it</p>", "utf-8")
    count = {"compared": 1, "glue": 0, "timing": 0, "numbers": 0}
    with pytest.raises(ValueError, match=r"b\.html: 0 places"):
        verified.stamp(tmp_path, {"a": count, "b": count})
    with pytest.raises(ValueError, match=r"gone\.html: 0 places"):
        verified.stamp(tmp_path, {"a": count, "gone": count})
    assert (tmp_path / "a.html").read_text("utf-8") == page
