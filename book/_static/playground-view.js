/* What is seen of the playground, and what its controls do. The arithmetic is in playground.js.

   No style is set from here: all looks are in playground.css, which follows the theme. */
"use strict";

(() => {
  const PLAYERS = { you: "you", linucb: "LinUCB", epsilon: "ε-greedy" };
  const ROW = 38; // height of a product in the chart of the intervals, in pixels
  const SIDE = 22; // its margin at both sides: half the label of a tick
  const PLOT = { height: 240, left: 40, right: 72, top: 12, bottom: 38 };

  const { Game } = window.playground;
  const data = window.playgroundData;

  /* ---------------------------------------------------------------- small tools */

  const plural = (n, word) => `${n} ${word}${n === 1 ? "" : "s"}`;

  const fixed = (value, digits) => value.toFixed(digits).replace("-", "−");

  function element(name, text = "", attributes = {}) {
    const made = document.createElement(name);
    made.textContent = text;
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    return made;
  }

  function svg(name, attributes, text = "") {
    const made = document.createElementNS("http://www.w3.org/2000/svg", name);
    Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
    made.textContent = text;
    return made;
  }

  /* Round numbers from `low` to `high`, about `n` steps. */
  function ticks(low, high, n) {
    const rough = (high - low) / n;
    const power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
    const first = Math.floor(low / step + 1e-9);
    const last = Math.ceil(high / step - 1e-9);
    const digits = Math.max(0, Math.ceil(-Math.log10(step) - 1e-9));
    const values = Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step);
    return values.map((value) => ({ value, text: fixed(value + 0, digits) }));
  }

  /* Heights of labels, moved down until none covers another. */
  function spread(heights, gap) {
    const order = heights.map((_, i) => i).sort((i, j) => heights[i] - heights[j]);
    const moved = [...heights];
    order.slice(1).forEach((i, n) => (moved[i] = Math.max(moved[i], moved[order[n]] + gap)));
    return moved;
  }

  /* ---------------------------------------------------------------- the shop in words */

  const tier = (price) => data.price_tiers[Math.round(price * (data.price_tiers.length - 1))];
  const productName = (arm) =>
    `${arm + 1} ${data.categories[data.products.category[arm]]}, ${tier(data.products.price[arm])}`;
  const purchases = (features) =>
    data.categories.map((_, c) => Math.round(Math.expm1(2 * features[1 + c]))); // as in draw_users
  const topCategory = (features) => {
    const counts = purchases(features);
    return counts.indexOf(Math.max(...counts));
  };

  function visitorFacts(features) {
    const counts = purchases(features).map((n, c) => `${data.categories[c]} ${n}`);
    const [basket, mobile, tenure] = features.slice(1 + data.categories.length);
    return [
      ["purchases", counts.join(", ")],
      ["price level of the basket", fixed(basket, 2)],
      ["device", mobile ? "phone" : "computer"],
      ["customer for", `${(4 * tenure).toFixed(1)} years`],
    ];
  }

  /* ---------------------------------------------------------------- charts */

  function canvas(chart, height) {
    const width = Math.max(280, chart.parentNode.clientWidth);
    chart.setAttribute("viewBox", `0 0 ${width} ${height}`);
    chart.setAttribute("height", height);
    chart.replaceChildren();
    return width;
  }

  /* For each product the interval of LinUCB; the highest upper end is what it shows. */
  function drawIntervals(chart, game, reveal) {
    const { mean, width, ucb } = game.intervals();
    const low = mean.map((value, a) => 2 * value - ucb[a]);
    const truth = game.shop.mu(game.user, Math.min(game.now, game.length - 1));
    const shown = mean.map((_, a) => game.traces.linucb.arms.filter((arm) => arm === a).length);
    const height = ROW * mean.length + 34;
    const right = canvas(chart, height) - SIDE;
    const marks = ticks(Math.min(0, ...low), Math.max(0.2, ...ucb), right < 450 ? 4 : 8);
    const [start, end] = [marks[0].value, marks.at(-1).value];
    const x = (value) => SIDE + ((value - start) / (end - start)) * (right - SIDE);
    const bottom = height - 30;
    marks.forEach(({ value, text }) => {
      chart.append(
        svg("line", { class: "grid", x1: x(value), x2: x(value), y1: 0, y2: bottom }),
        svg("text", { x: x(value), y: bottom + 15, "text-anchor": "middle" }, text),
      );
    });
    chart.append(svg("text", { x: right, y: height - 2, "text-anchor": "end" }, "click probability"));
    mean.forEach((value, a) => {
      const y = ROW * a + 27;
      const best = ucb[a] === Math.max(...ucb);
      const numbers = `${fixed(value, 3)} ± ${(game.settings.alpha * width[a]).toFixed(3)}`;
      chart.append(
        svg("text", { class: best ? "best" : "", x: SIDE, y: y - 11 }, `${productName(a)} (${shown[a]})`),
        svg("text", { class: best ? "best" : "", x: right, y: y - 11, "text-anchor": "end" }, numbers),
        svg("line", { class: "interval", x1: x(low[a]), x2: x(ucb[a]), y1: y, y2: y }),
        svg("circle", { class: "estimate", cx: x(value), cy: y, r: 4.5 }),
      );
      if (best) chart.append(svg("path", { class: "upper", d: `M${x(ucb[a]) + 5} ${y}l-9 -6v12z` }));
      if (reveal) chart.append(svg("path", { class: "truth", d: `M${x(truth[a])} ${y - 7}l6 7l-6 7l-6 -7z` }));
    });
    const spoken = mean.map((value, a) => {
      const known = reveal ? `, true ${truth[a].toFixed(3)}` : "";
      return `${productName(a)}, shown ${shown[a]} times: estimate ${fixed(value, 3)}, from ${fixed(low[a], 3)} to ${fixed(ucb[a], 3)}${known}`;
    });
    chart.setAttribute("aria-label", `Confidence intervals of LinUCB. ${spoken.join("; ")}.`);
  }

  const lostNow = (game) =>
    Object.keys(PLAYERS).map((name) => `${PLAYERS[name]} ${game.traces[name].lost.at(-1).toFixed(1)}`);

  /* The exact regret of each player over the visits, and the shock. */
  function drawRegret(chart, game) {
    const right = canvas(chart, PLOT.height) - PLOT.right;
    const bottom = PLOT.height - PLOT.bottom;
    const visits = [100, 250, 500, 1000, game.length].find((n) => n >= game.now);
    const lost = Object.values(game.traces).map((trace) => trace.lost);
    const marks = ticks(0, Math.max(1, ...lost.map((values) => values.at(-1))), 4);
    const x = (round) => PLOT.left + (round / visits) * (right - PLOT.left);
    const y = (value) => bottom - (value / marks.at(-1).value) * (bottom - PLOT.top);
    marks.forEach(({ value, text }) => {
      chart.append(
        svg("line", { class: "grid", x1: PLOT.left, x2: right, y1: y(value), y2: y(value) }),
        svg("text", { x: PLOT.left - 6, y: y(value) + 4, "text-anchor": "end" }, text),
      );
    });
    ticks(0, visits, right < 450 ? 2 : 5).forEach(({ value, text }) => {
      chart.append(svg("text", { x: x(value), y: bottom + 16, "text-anchor": "middle" }, text));
    });
    chart.append(svg("text", { x: right, y: bottom + 33, "text-anchor": "end" }, "visits"));
    const { strength, at } = game.settings;
    const shocked = strength > 0 && at < game.length;
    if (shocked && at <= visits) {
      const side = x(at) > (PLOT.left + right) / 2 ? ["end", -5] : ["start", 5];
      chart.append(
        svg("line", { class: "shock", x1: x(at), x2: x(at), y1: PLOT.top, y2: bottom }),
        svg("text", { x: x(at) + side[1], y: PLOT.top + 10, "text-anchor": side[0] }, "shock"),
      );
    }
    const labels = spread(lost.map((values) => y(values.at(-1))), 16);
    const over = Math.max(0, Math.max(...labels) - bottom); // all labels stay above the axis
    Object.keys(PLAYERS).forEach((name, i) => {
      const points = lost[i].map((value, round) => `${x(round).toFixed(1)} ${y(value).toFixed(1)}`);
      chart.append(
        svg("path", { class: `player ${name}`, d: `M${points.join("L")}` }),
        svg("text", { x: x(game.now) + 6, y: labels[i] - over + 4 }, PLAYERS[name]),
      );
    });
    const when = shocked ? ` The market shock comes after visit ${at}.` : " There is no shock.";
    const label = `Clicks lost after ${plural(game.now, "visit")}: ${lostNow(game).join(", ")}.${when}`;
    chart.setAttribute("aria-label", label);
  }

  /* ---------------------------------------------------------------- the page */

  class View {
    constructor(root) {
      this.root = root;
      this.game = new Game(data);
      this.parts = Object.fromEntries(
        [...root.querySelectorAll("[data-part]")].map((part) => [part.dataset.part, part]),
      );
      this.sliders = [...root.querySelectorAll("[data-setting]")];
      this.arms = data.products.category.map((_, arm) => this.armButton(arm));
      this.parts.arms.append(...this.arms);
      root.querySelector(".playground-app").hidden = false;
      this.listen();
      this.say("Choose a product for the first visitor.");
    }

    armButton(arm) {
      const button = element("button", "", { type: "button" });
      button.append(element("span", productName(arm)), element("small"));
      button.addEventListener("click", () => this.choose(arm));
      return button;
    }

    listen() {
      const each = (selector, act) =>
        this.root.querySelectorAll(selector).forEach((button) => {
          button.addEventListener("click", () => act(button.dataset));
        });
      each("[data-pass]", ({ pass }) => this.pass(Number(pass)));
      each("[data-restart]", ({ restart }) => this.restart(restart === "other"));
      this.parts.reveal.addEventListener("change", () => this.revealed());
      this.root.addEventListener("keydown", (event) => this.key(event)); // only with the focus in it
      this.sliders.forEach((slider) => {
        slider.value = this.game.settings[slider.dataset.setting];
        slider.addEventListener("input", () => this.set(slider));
        slider.addEventListener("change", () => this.say(this.told(slider.dataset.setting)));
      });
      new ResizeObserver(() => this.draw()).observe(this.root);
    }

    key(event) {
      const arm = this.arms[Number(event.key) - 1];
      if (!arm || event.ctrlKey || event.altKey || event.metaKey) return;
      event.preventDefault();
      this.choose(Number(event.key) - 1);
    }

    /* ------------------------------------------------------------ actions */

    choose(arm) {
      const { game } = this;
      if (game.isOver) return this.say("The stream of visits is over: restart.");
      game.play(arm);
      const seen = Object.keys(PLAYERS).map((name) => {
        const { arms, clicks } = game.traces[name];
        return `${PLAYERS[name]} showed ${productName(arms.at(-1))}: ${clicks.at(-1) ? "click" : "no click"}`;
      });
      return this.say(`Visit ${game.now}: ${seen.join("; ")}.`);
    }

    /* The seat's choice: your last one, or your last one for the visitor's top category. */
    seatChoice() {
      const { game } = this;
      const last = game.choices.at(-1).arm;
      if (this.root.querySelector("[name=playground-seat]:checked").value === "last") return last;
      return this.byCategory.get(topCategory(game.x)) ?? last;
    }

    pass(n) {
      const { game } = this;
      if (!game.choices.length) return this.say("First choose a product yourself, for your seat to repeat.");
      if (game.isOver) return this.say("The stream of visits is over: restart.");
      const start = game.now;
      this.byCategory = this.choicesByCategory();
      while (game.now < Math.min(start + n, game.length)) game.play(this.seatChoice());
      const lost = Object.keys(PLAYERS).map((name) => {
        const values = game.traces[name].lost;
        return `${PLAYERS[name]} lost ${(values.at(-1) - values[start]).toFixed(1)}`;
      });
      const over = game.isOver ? " The stream of visits is over." : "";
      return this.say(`In visits ${start + 1} to ${game.now} clicks were lost: ${lost.join(", ")}.${over}`);
    }

    choicesByCategory() {
      const { users } = data.streams[this.game.stream];
      const pairs = this.game.choices.map(({ arm }, t) => [topCategory(data.features[users[t]]), arm]);
      return new Map(pairs);
    }

    restart(other) {
      this.game.restart(this.game.stream + (other ? 1 : 0));
      this.say(`Restarted with ${other ? "other" : "the same"} visits (stream ${this.game.stream + 1} of ${data.streams.length}).`);
    }

    revealed() {
      this.parts["truth-key"].hidden = !this.parts.reveal.checked;
      this.say(`The true click probabilities are ${this.parts.reveal.checked ? "shown" : "hidden"}.`);
    }

    set(slider) {
      const { setting } = slider.dataset;
      this.game.settings[setting] = Number(slider.value);
      if (setting === "strength" || setting === "at") this.game.replay();
      this.draw();
    }

    /* What a slider has done, in a sentence. */
    told(setting) {
      const { game } = this;
      const value = game.settings[setting];
      const next = `from visit ${Math.min(game.now + 1, game.length)} on`;
      if (setting === "alpha") return `The intervals are redrawn with α = ${value}; LinUCB plays with it ${next}.`;
      if (setting === "epsilon") return `ε-greedy shows a random product with probability ${value}, ${next}.`;
      const played = `${plural(game.now, "visit")} played again with your choices, clicks lost: ${lostNow(game).join(", ")}`;
      return `Shock of size ${game.settings.strength} after ${plural(game.settings.at, "visit")}; ${played}.`;
    }

    /* ------------------------------------------------------------ drawing */

    say(sentence) {
      this.parts.status.textContent = sentence;
      this.draw();
    }

    draw() {
      const { game, parts } = this;
      parts.visit.textContent = game.isOver
        ? `All ${game.length} visits are over.`
        : `Visit ${game.now + 1} of ${game.length}.`;
      const facts = visitorFacts(game.x).map(([name, value]) => {
        const fact = element("div");
        fact.append(element("dt", name), element("dd", value));
        return fact;
      });
      parts.visitor.replaceChildren(...facts);
      this.drawArms();
      this.sliders.forEach((slider) => {
        slider.nextElementSibling.textContent = slider.value;
      });
      drawIntervals(parts.intervals, game, parts.reveal.checked);
      drawRegret(parts.regret, game);
      this.drawNumbers();
    }

    /* On each button what you have seen of the product. */
    drawArms() {
      const { arms, clicks } = this.game.traces.you;
      this.arms.forEach((button, arm) => {
        const shown = arms.filter((other) => other === arm).length;
        const clicked = clicks.filter((click, t) => click && arms[t] === arm).length;
        button.lastChild.textContent = shown
        ? ` ${plural(clicked, "click")} in ${plural(shown, "visit")}`
        : " not shown yet";
      });
    }

    drawNumbers() {
      const rows = Object.keys(PLAYERS).map((name) => {
        const { clicks, lost } = this.game.traces[name];
        const row = element("tr");
        const total = clicks.reduce((sum, click) => sum + click, 0);
        row.append(element("th", PLAYERS[name], { scope: "row" }));
        row.append(...[clicks.length, total, lost.at(-1).toFixed(1)].map((cell) => element("td", cell)));
        return row;
      });
      this.parts.numbers.replaceChildren(...rows);
    }
  }

  const root = document.getElementById("playground");
  if (root) new View(root);
})();
