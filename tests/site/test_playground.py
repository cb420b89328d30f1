"""The playground of chapter 2 against recsys, in a browser, and what its controls do."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect

from browser import open_browser
from playground import (
    CONFIG,
    ELSEWHERE,
    ROUNDS,
    SEED,
    SETTINGS,
    STREAMS,
    data_script,
    playground_data,
)
from recsys.linear import LinUCB
from recsys.shop import SharedUserFeatures, Shop

ROOT = Path(__file__).parents[2]
STATIC = ROOT / "book" / "_static"
ROUNDING = 2e-4  # of probabilities, from numbers with four decimals
K, D = CONFIG.n_products, SharedUserFeatures.n_features
STATUS = "p[role=status]"  # the outputs of the sliders have the role, too
POLICY = "default-src 'self'; style-src 'self' 'unsafe-inline'; script-src 'self'"

# A policy is run by the script on rows, arms and rewards that are given; it tells its scores before
# each update, and the arm that it would have shown.
FOLLOW = """({rows, arms, rewards, alpha, ridge}) => {
  const agent = new playground.LinUCB(%d, %d, alpha, ridge);
  return rows.map((x, t) => {
    const told = {ucb: agent.ucb(x), arm: agent.select(x)};
    agent.update(arms[t], x, rewards[t]);
    return told;
  });
}""" % (K, D)  # noqa: UP031


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with open_browser("--no-sandbox") as browser:
        yield browser


@pytest.fixture(scope="module")
def script(chromium: Browser) -> Iterator[Page]:
    """Return a blank page with the arithmetic and the data as the extension writes them."""
    page = chromium.new_page()
    page.add_script_tag(content=data_script())
    page.add_script_tag(path=STATIC / "playground.js")
    yield page
    page.close()


def shop_with(strength: float, at: int) -> Shop:
    shop = Shop(CONFIG, SEED)
    shop.shock(at=at, strength=strength)
    return shop


# ---------------------------------------------------------------------------- the data


def test_the_seed_is_the_smallest_with_all_categories():
    seeds = (seed for seed in count() if len(set(Shop(CONFIG, seed).products.category)) == 5)
    assert next(seeds) == SEED


def test_the_data_are_the_shop(script: Page):
    shop, data = Shop(CONFIG, SEED), script.evaluate("playgroundData")
    assert data == json.loads(json.dumps(playground_data()))
    assert len(data_script()) < 150_000
    assert np.allclose(data["features"], shop.users.features, rtol=0, atol=6e-5)
    assert len(data["streams"]) == STREAMS
    for n, stream in enumerate(data["streams"]):
        visits = shop.visits(n * ROUNDS, ROUNDS)
        assert stream["users"] == visits.users.tolist()
        assert np.allclose(stream["uniforms"], visits.uniforms, rtol=0, atol=6e-6)


# ---------------------------------------------------------------------------- the shop


@pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
def test_click_probabilities(script: Page, strength: float):
    rounds = [0, 6, 7, 8]
    shown = script.evaluate(
        """({strength, rounds}) => {
          const shop = new playground.Shop(playgroundData, strength, 7);
          return rounds.map((t) => playgroundData.features.map((_, user) => shop.mu(user, t)));
        }""",
        {"strength": strength, "rounds": rounds},
    )
    users, products = np.arange(CONFIG.n_users)[:, None], np.arange(K)
    known = shop_with(strength, at=7).click_probability(
        users, products, np.array(rounds)[:, None, None]
    )
    assert np.abs(np.array(shown) - known).max() < ROUNDING
    moved = np.abs(known[-1] - known[0]).max()
    assert moved > 100 * ROUNDING if strength else moved == 0  # the shock is larger than rounding


# ---------------------------------------------------------------------------- the policies


def stream_of_rewards(n: int = 600) -> dict:
    """Return rows of the shop's visitors, arms of which the first is never shown, and rewards."""
    rng = np.random.default_rng(4)
    features = np.array(playground_data()["features"])
    return {
        "rows": features[rng.integers(len(features), size=n)].tolist(),
        "arms": rng.integers(1, K, size=n).tolist(),
        "rewards": (rng.random(n) < 0.3).astype(float).tolist(),
    }


@pytest.mark.parametrize(("alpha", "ridge"), [(1.0, 1.0), (0.1, 0.3), (1.7, 4.0), (0.0, 0.3)])
def test_scores_of_linucb(script: Page, alpha: float, ridge: float):
    given = stream_of_rewards()
    told = script.evaluate(FOLLOW, given | {"alpha": alpha, "ridge": ridge})
    agent = LinUCB(K, D, alpha, ridge)
    untied = 0
    for t, (x, arm, reward) in enumerate(zip(*given.values(), strict=True)):
        scores = agent.ucb(x)
        assert np.abs(np.array(told[t]["ucb"]) - scores).max() < 1e-9
        first, second = np.sort(scores)[::-1][:2]
        if first - second > 1e-8:
            untied += 1
            assert told[t]["arm"] == scores.argmax()
        else:
            assert scores[told[t]["arm"]] > first - 1e-8
        agent.update(arm, x, reward)
    assert untied > 100


def test_ties_are_broken_evenly(script: Page):
    arms = script.evaluate(
        """() => {
          const random = playground.mulberry32(5);
          const draw = () => playground.argmaxRandomTies([1, 3, 0, 3, 3], random());
          return Array.from({length: 6000}, draw);
        }"""
    )
    counts = np.bincount(arms, minlength=5)
    assert counts[[0, 2]].sum() == 0
    assert np.abs(counts[[1, 3, 4]] - 2000).max() < 5 * np.sqrt(6000 * 2 / 9)


@pytest.mark.parametrize("epsilon", [0.0, 0.1, 1.0])
def test_epsilon_greedy(script: Page, epsilon: float):
    given, n = stream_of_rewards(), 20_000
    arms = script.evaluate(
        """({rows, arms, rewards, epsilon, n, k, d}) => {
          const greedy = new playground.LinUCB(k, d, 0, 0.3, 8);
          const agent = new playground.EpsilonGreedy(greedy, epsilon, 9);
          rows.forEach((x, t) => agent.update(arms[t], x, rewards[t]));
          return Array.from({length: n}, (_, t) => agent.select(rows[t % rows.length]));
        }""",
        given | {"epsilon": epsilon, "n": n, "k": K, "d": D},
    )
    greedy = LinUCB(K, D, alpha=0.0, ridge=0.3)
    for x, arm, reward in zip(*given.values(), strict=True):
        greedy.update(arm, x, reward)
    best = np.resize([greedy.ucb(x).argmax() for x in given["rows"]], n)
    other = (np.array(arms) - best) % K  # 0: the greedy arm; else how far from it
    counts = np.bincount(other, minlength=K)
    expected = n * np.where(np.arange(K) == 0, 1 - epsilon + epsilon / K, epsilon / K)
    bound = 5 * np.sqrt(expected * (1 - expected / n))
    assert (np.abs(counts - expected) <= bound).all()


# ---------------------------------------------------------------------------- the game

# A game on a stream with your arms; half of the way α changes.
GAME = """({stream, strength, at, arms, alphas, epsilon}) => {
  const game = new playground.Game(playgroundData, stream);
  Object.assign(game.settings, {strength, at, ridge: 0.5, alpha: alphas[0], epsilon});
  game.restart();
  arms.forEach((arm, t) => {
    game.settings.alpha = alphas[2 * t < arms.length ? 0 : 1];
    game.play(arm);
  });
  return game.traces;
}"""


@pytest.mark.parametrize(("stream", "strength"), [(0, 1.0), (2, 0.5)])
def test_regret_and_clicks(script: Page, stream: int, strength: float):
    n, at = 700, 300
    yours = np.random.default_rng(stream).integers(K, size=n).tolist()
    given = {"stream": stream, "strength": strength, "at": at, "arms": yours}
    given |= {"alphas": [0.4, 0.4], "epsilon": 0.2}
    traces = script.evaluate(GAME, given)
    shop = shop_with(strength, at=stream * ROUNDS + at)
    visits = shop.visits(stream * ROUNDS, n)
    mu = shop.click_probability(visits.users[:, None], np.arange(K), visits.rounds[:, None])
    assert traces["you"]["arms"] == yours
    for name, trace in traces.items():
        arms = np.array(trace["arms"])
        chosen = mu[np.arange(n), arms]
        regret = np.cumsum(mu.max(axis=1) - chosen)
        steps = np.diff(trace["lost"]) - (mu.max(axis=1) - chosen)
        assert np.abs(steps).max() < 2 * ROUNDING, name
        assert np.abs(trace["lost"][1:] - regret).max() < 0.05, name
        close = np.abs(visits.uniforms - chosen) < ROUNDING  # where rounding may decide
        assert close.sum() < 5
        clicks = shop.clicks(visits, arms)
        assert (np.array(trace["clicks"]) == clicks)[~close].all(), name


@pytest.mark.parametrize(
    ("name", "alphas"), [("linucb", (0.4, 0.4)), ("linucb", (0.1, 1.5)), ("epsilon", (0.0, 0.0))]
)
def test_players_learn_from_their_own_clicks(script: Page, name: str, alphas: tuple):
    n = 500
    given = {"stream": 1, "strength": 1.0, "at": 200, "arms": [0] * n, "epsilon": 0.0}
    played = (0.4, 0.4) if name == "epsilon" else alphas  # the greedy part takes no notice of α
    trace = script.evaluate(GAME, given | {"alphas": played})[name]
    data = playground_data()
    rows = np.array(data["features"])[data["streams"][1]["users"]]
    agent, untied = LinUCB(K, D, alphas[0], 0.5), 0
    for t, (x, arm, click) in enumerate(zip(rows, trace["arms"], trace["clicks"], strict=False)):
        agent.alpha = alphas[2 * t >= n]
        scores = np.sort(agent.ucb(x))
        untied += scores[-1] - scores[-2] > 1e-8
        assert agent.ucb(x)[arm] > scores[-1] - 1e-8
        agent.update(arm, x, click)
    assert untied > 400


def test_a_replay_changes_only_what_the_shock_changes(script: Page):
    before, same, other, back = script.evaluate(
        """() => {
          const game = new playground.Game(playgroundData, 3);
          Object.assign(game.settings, {strength: 1, at: 100});
          game.restart();
          const played = [];
          const note = () => played.push(JSON.parse(JSON.stringify(game.traces)));
          for (let t = 0; t < 300; t += 1) {
            game.settings.alpha = t < 50 ? 0.7 : 0.1;
            game.settings.epsilon = t < 80 ? 0.5 : 0;
            game.play(t % 6);
          }
          note();
          [100, 200, 100].forEach((at) => { game.settings.at = at; game.replay(); note(); });
          return played;
        }"""
    )
    assert same == back == before
    for name in ("you", "linucb", "epsilon"):
        assert other[name]["arms"][:100] == before[name]["arms"][:100]
        assert other[name]["lost"][:101] == before[name]["lost"][:101]
        assert other[name]["lost"] != before[name]["lost"]
    assert other["you"]["arms"] == before["you"]["arms"]


# ---------------------------------------------------------------------------- the page


def build(folder: Path, builder: str, theme: str = "basic") -> Path:
    """Build a tiny book of two pages, one of which has the playground."""
    source, out = folder / "source", folder / builder
    source.mkdir(exist_ok=True)
    (source / "index.md").write_text("# Page\n\n## Play\n\n```{playground}\n```\n\n[](other.md)\n")
    (source / "other.md").write_text("---\norphan: true\n---\n\n# Other\n\nText.\n")
    (source / "conf.py").write_text(
        f"import sys\nsys.path.insert(0, {str(ROOT / 'book' / '_ext')!r})\n"
        f"extensions = ['myst_parser', 'playground']\nhtml_theme = {theme!r}\n"
        f"html_static_path = [{str(STATIC)!r}]\n"
        "html_sidebars = {'**': []}\n"  # the theme's search box has an inline script
    )
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "-b", builder, source, out]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=120)
    return out


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("book"), "html")


@pytest.fixture(params=[1400, 390])
def page(request: pytest.FixtureRequest, chromium: Browser, site: Path) -> Iterator[Page]:
    """Return the page, opened from its file under the site's policy; it may not complain."""
    html = (site / "index.html").read_text("utf-8")
    rule = f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
    rule = rule.replace("'self'", "file:")  # a file has no origin of its own
    (site / "strict.html").write_text(html.replace("<head>", f"<head>{rule}"), "utf-8")
    page = chromium.new_page(viewport={"width": request.param, "height": 900})
    complaints = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda r: r.url.startswith("file:") or complaints.append(r.url))
    page.goto((site / "strict.html").as_uri())
    yield page
    width = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert complaints == []
    assert width <= request.param


def press_until(page: Page, name: str, key: str = "Tab") -> None:
    """Move the focus forward until it is on the control with this accessible name."""
    button, slider, box = (page.get_by_role(r, name=name) for r in ("button", "slider", "checkbox"))
    target = button.or_(slider).or_(box)
    for _ in range(40):
        if target.evaluate("control => control === document.activeElement"):
            return
        page.keyboard.press(key)
    raise AssertionError(f"{name} is not reached by {key}")


def numbers(page: Page) -> dict[str, list[float]]:
    """Return the rows of the table: visits, clicks, clicks lost."""
    rows = page.evaluate(
        """() => [...document.querySelectorAll(".playground-table tbody tr")].map(
          (row) => [...row.cells].map((cell) => cell.textContent))"""
    )
    return {name: [float(cell) for cell in cells] for name, *cells in rows}


def test_played_with_the_keyboard_alone(page: Page):
    status = page.locator(STATUS)
    expect(status).to_have_text("Choose a product for the first visitor.")
    press_until(page, "Next 10 visits")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("First choose a product")
    assert numbers(page)["you"] == [0, 0, 0]
    page.keyboard.press("3")  # a key of the playground, with the focus anywhere in it
    expect(status).to_contain_text("Visit 1: you showed 3 cat, standard")
    press_until(page, "2 dog, budget", "Shift+Tab")
    page.keyboard.press("Space")
    expect(status).to_contain_text("Visit 2: you showed 2 dog, budget")
    press_until(page, "Next 100 visits")
    page.keyboard.press("Enter")
    expect(status).to_contain_text("In visits 3 to 102 clicks were lost: you lost ")
    found = numbers(page)
    assert list(found) == ["you", "LinUCB", "ε-greedy"]
    assert {row[0] for row in found.values()} == {102}
    label = page.get_by_role("img", name="Clicks lost after 102 visits").get_attribute("aria-label")
    assert all(f"{player} {row[2]:.1f}" in label for player, row in found.items())
    assert "shock comes after visit 500" in label
    press_until(page, "moment (visits before it)")
    page.keyboard.press("Home")
    expect(status).to_contain_text("Shock of size 1 after 0 visits; 102 visits played again")
    shocked = numbers(page)
    assert shocked["you"][2] != found["you"][2]
    press_until(page, "size (0: no shock)", "Shift+Tab")
    page.keyboard.press("Home")
    expect(status).to_contain_text("Shock of size 0")
    assert numbers(page) == found  # the shock came later than all visits so far
    expect(page.get_by_role("img", name="There is no shock")).to_have_count(1)


def test_alpha_redraws_the_intervals(page: Page):
    page.get_by_role("button", name="2 dog, budget").click()
    chart = page.locator("svg[data-part=intervals]")
    before, played = chart.get_attribute("aria-label"), numbers(page)
    press_until(page, "α of LinUCB")
    page.keyboard.press("Home")
    expect(page.locator(STATUS)).to_contain_text("α = 0; LinUCB plays with it from visit 2")
    after = chart.get_attribute("aria-label")
    assert "estimate 0.000, from 0.000 to 0.000" in after
    assert "estimate 0.000, from 0.000 to 0.000" not in before
    assert numbers(page) == played
    assert sorted(re.findall(r"shown (\d+) times", after)) == ["0"] * 5 + ["1"]
    assert "true" not in after
    press_until(page, "show the true click probabilities")
    page.keyboard.press("Space")
    user = playground_data()["streams"][0]["users"][1]
    known = Shop(CONFIG, SEED).click_probability(user, np.arange(K))
    told = [float(n) for n in re.findall(r"true ([\d.]+\d)", chart.get_attribute("aria-label"))]
    assert np.abs(np.array(told) - known).max() < 1e-3


def test_the_seat_can_repeat_by_top_category(page: Page):
    data, top = playground_data(), []
    for user in data["streams"][0]["users"][:30]:
        counts = np.round(np.expm1(2 * np.array(data["features"][user][1:6])))
        top.append(int(counts.argmax()))
    page.get_by_role("button", name="1 small pet, premium").focus()
    for category in top[:20]:
        page.keyboard.press(str(category + 1))  # one product for each top category
    page.get_by_label("what you showed last to a visitor").check()
    page.get_by_role("button", name="Next 10 visits").click()
    assert set(top[20:]) <= set(top[:20]) and len(set(top[20:])) > 1  # the rule has work to do
    for category in set(top):
        shown = page.locator(".playground-arms button").nth(category)
        expect(shown).to_contain_text(f"in {top.count(category)} visit")
    page.get_by_role("button", name="Restart, other visits").click()
    expect(page.locator(STATUS)).to_contain_text("other visits (stream 2 of 4)")
    assert numbers(page)["you"] == [0, 0, 0]


def test_the_stream_ends(page: Page):
    page.get_by_role("button", name="6 fish, standard").click()
    for _ in range(20):
        page.get_by_role("button", name="Next 100 visits").click()
    expect(page.locator(STATUS)).to_contain_text("The stream of visits is over.")
    page.keyboard.press("1")
    expect(page.locator(STATUS)).to_contain_text("over: restart")
    assert [row[0] for row in numbers(page).values()] == [ROUNDS] * 3
    page.get_by_role("button", name="Restart, same visits").click()
    assert [row[0] for row in numbers(page).values()] == [0] * 3


@pytest.fixture(scope="module")
def themed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a site with the book's theme, whose colours the playground uses."""
    return build(tmp_path_factory.mktemp("themed"), "html", "sphinx_book_theme")


@pytest.mark.parametrize("width", [1400, 390])
@pytest.mark.parametrize("mode", ["light", "dark"])
def test_accessible_and_printed(chromium: Browser, themed: Path, mode: str, width: int):
    page = chromium.new_page(viewport={"width": width, "height": 900}, color_scheme=mode)
    page.goto((themed / "index.html").as_uri())
    expect(page.locator("html")).to_have_attribute("data-theme", mode)
    page.get_by_role("button", name="6 fish, standard").click(no_wait_after=True)
    page.get_by_role("button", name="Next 100 visits").click()
    page.get_by_label("show the true click probabilities").check()
    wanted = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
    report = Axe().run(page, context="#playground", options={"runOnly": wanted})
    assert {"color-contrast", "label", "target-size"} <= {
        r["id"] for r in report.response["passes"]
    }
    assert report.response["violations"] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.emulate_media(media="print")
    expect(page.locator(".playground-app")).to_be_hidden()
    expect(page.locator(".playground-printed")).to_be_visible()
    page.close()


def test_without_javascript_there_are_no_dead_controls(chromium: Browser, site: Path):
    page = chromium.new_page(java_script_enabled=False)
    page.goto((site / "index.html").as_uri())
    sentence = page.locator("#playground noscript p")
    expect(sentence).to_be_visible()
    assert "needs JavaScript" in sentence.inner_html()
    expect(page.get_by_role("button")).to_have_count(0)
    page.close()


def test_only_its_page_loads_it(site: Path):
    assert "playground" not in (site / "other.html").read_text("utf-8")
    assert (site / "_static" / "playground-data.js").read_text("utf-8") == data_script()


def test_other_builders_get_a_sentence(tmp_path: Path):
    text = (build(tmp_path, "text") / "index.txt").read_text("utf-8")
    assert " ".join(ELSEWHERE.split()) in " ".join(text.split())
    assert not list((tmp_path / "text").rglob("playground-data.js"))


def test_settings_are_those_of_the_chapter():
    pages = sorted((ROOT / "book" / "02-linucb").glob("*.md"))
    chapter = "\n".join(page.read_text("utf-8") for page in pages)
    assert f'"linucb": linear(LinUCB, {SETTINGS["alpha"]}, {SETTINGS["ridge"]})' in chapter
    assert f"linear(LinUCB, 0.0, 0.03)(), {SETTINGS['epsilon']}, " in chapter
