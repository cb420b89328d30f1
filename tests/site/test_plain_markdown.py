"""A page as plain Markdown, and the notebook with it: what readers take away."""

import pytest
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

import take_away
from plain_markdown import CodeCell, led_from, pieces

PAGE = r"""<article><section id="t">
<h1><span>1.1. </span>T<a class="headerlink" href="#t">#</a></h1>
<dl class="simple opening"><dt>The question</dt><dd><p>What_now?</p></dd></dl>
<p class="verified">Verified.</p>
<p>It is
<span class="math">\(a_1 &lt; b\)</span>, see <a href="../x.html#e"><span>(1.1)</span></a>
and <code class="docutils literal"><span class="pre">a*b</span></code>.</p>
<p># is no heading</p><p>2. is no item, $5 neither a *formula*</p>
<div class="math" id="equation-e">
<span class="eqno">(1.1)<a class="headerlink" href="#e">#</a></span>\[
a \\ b
\]</div>
<div class="math">\[\begin{split}\begin{aligned}
a&=b \\
\end{aligned}\end{split}\]</div>
<div class="cell tag_x"><details class="hide"><summary>Show</summary><div class="cell_input">
<div class="highlight-ipython3"><pre>plot()</pre></div></div></details><div class="cell_output">
<figure><img alt="A" src="../_images/a.svg"><figcaption><p>
<span class="caption-number">Fig. 1.1 </span>
<span class="caption-text">A rise.</span><a class="headerlink" href="#f">#</a></p>
</figcaption></figure>
</div></div>
<div class="proof theorem admonition" id="thm"><p class="admonition-title"><span
class="caption-number">Theorem 1.1 </span> (Of it)</p><section><p>Holds.</p></section></div>
<div class="proof admonition" id="proof"><p>Proof. Because.</p></div>
<div class="admonition note"><p class="admonition-title">Note</p><p>Mind.</p></div>
<table><caption><span class="caption-number">Table 1.1 </span>Two</caption><thead><tr>
<th><p>|</p></th><th><p>b</p></th></tr></thead><tbody><tr>
<td><p><span class="math">\(|x|\)</span></p></td><td><p>2</p></td></tr></tbody></table>
<ol class="simple"><li><p>One</p><ul><li><p>within</p></li></ul></li><li><p>Two</p></li></ol>
<blockquote><div><p>Said.</p></div></blockquote>
<div class="highlight-python"><div class="highlight"><pre>x = 1
</pre></div></div>
</section></article>"""
PLAIN = r"""# 1.1. T

**The question:** What\_now?

It is $a_1 < b$, see [(1.1)](../../x.html#e) and `a*b`.

\# is no heading

2\. is no item, \$5 neither a \*formula\*

$$
a \\ b
\tag{1.1}
$$

$$
\begin{aligned}
a&=b \\
\end{aligned}
$$
<cell>
**Theorem 1.1 (Of it).**

Holds.

*Proof.* Because.

**Note.**

Mind.

**Table 1.1.** Two

| \| | b |
| --- | --- |
| $\vert x\vert $ | 2 |

1. One

   - within
2. Two

> Said.

```python
x = 1
```"""


def test_a_page_becomes_plain_markdown_around_its_cells():
    article = BeautifulSoup(PAGE, "html.parser").article
    found = pieces(article, led_from("book/page.html", "../../"))
    assert [piece for piece in found if not isinstance(piece, str)] == [
        CodeCell("**Fig. 1.1.** A rise.")
    ]
    text = [piece if isinstance(piece, str) else "<cell>" for piece in found]
    assert "\n".join(text) == PLAIN
    assert article.select("p.verified")  # the page itself is as it was


def test_links_of_a_notebook_lead_to_the_site():
    away = led_from("book/a/page.html", "https://example.org/")
    assert away("#here") == "https://example.org/book/a/page.html#here"
    assert away("../b.html") == "https://example.org/book/b.html"
    assert away("https://elsewhere.org/x") == "https://elsewhere.org/x"
    folder = led_from("book/a/page/index.html", "../../")  # the builder dirhtml
    assert folder("../other/#x") == "../../book/a/other/#x"


def test_text_and_code_cells_of_a_notebook_take_turns():
    cells = [new_code_cell(text) for text in ("1", "2", "3")]
    cells[1].metadata["tags"] = ["remove-cell"]
    notebook = new_notebook(cells=[new_markdown_cell("{glue:text}`x`"), *cells])
    text = ["Before.", CodeCell("Fig."), "Between.", CodeCell()]
    made = take_away.with_plain_text(notebook, text, "note").cells
    said = [cell.source for cell in made]
    assert said == ["note", "Before.", "1", "Fig.", "2", "Between.", "3"]
    assert [cell.cell_type for cell in made if cell.source.isdigit()] == ["code"] * 3
    assert len({cell.id for cell in made}) == len(made)
    with pytest.raises(ValueError, match="1 places of code cells, expected 2"):
        take_away.with_plain_text(notebook, ["Before.", CodeCell()], "note")
