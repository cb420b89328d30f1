/* The arithmetic of the playground: the shop, ridge regression, LinUCB, ε-greedy and the game.

   A translation of recsys for one world, with its names; the tests compare the two. Nothing here
   touches the page. The data come from playground-data.js. */
"use strict";

window.playground = (() => {
  const expit = (z) => 1 / (1 + Math.exp(-z));
  const dot = (u, v) => u.reduce((sum, value, i) => sum + value * v[i], 0);

  /* mulberry32, a small generator of uniforms in [0, 1): equal seeds give equal draws. */
  function mulberry32(seed) {
    let state = seed >>> 0;
    return () => {
      state = (state + 0x6d2b79f5) >>> 0;
      let t = Math.imul(state ^ (state >>> 15), state | 1);
      t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
      return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
    };
  }

  /* One of the largest scores; the uniform says which, where several tie. */
  function argmaxRandomTies(scores, uniform) {
    const top = Math.max(...scores);
    const tied = scores.flatMap((score, arm) => (score === top ? [arm] : []));
    return tied[Math.floor(uniform * tied.length)];
  }

  /* The shop of the data, with a trend of the given strength from round `at` on. */
  class Shop {
    constructor(data, strength = 0, at = Infinity) {
      Object.assign(this, { data, strength, at });
      this.nProducts = data.products.category.length;
    }

    /* eq-click-model, as in Shop.click_probability; liking / (1 + liking) = expit(log affinity).
       The trend is linear in its strength on the log scale. */
    clickProbability(user, product, round) {
      const { data } = this;
      const { category, price, quality } = data.products;
      const strength = round >= this.at ? this.strength : 0;
      const logAffinity =
        (1 - strength) * data.log_affinity[user][category[product]] +
        strength * data.log_affinity_after[user][category[product]];
      return expit(
        data.base_logit +
          data.affinity_weight * expit(logAffinity) +
          quality[product] -
          data.price_sensitivity[user] * price[product],
      );
    }

    /* The click probabilities of all products for one visit. */
    mu(user, round) {
      return Array.from({ length: this.nProducts }, (_, a) => this.clickProbability(user, a, round));
    }
  }

  /* thm-ridge: A = λI + Σ x xᵀ and b = Σ r x for each arm, θ̂ = A⁻¹ b. Only A⁻¹ is kept; it starts
     at I/λ and follows each row (lem-sherman-morrison). recsys computes it afresh from A now and
     then; two thousand rounds do not need that, which the tests confirm. */
  class RidgeMemory {
    constructor(nArms, nFeatures, ridge) {
      const each = (make) => Array.from({ length: nArms }, make);
      const zeros = () => new Array(nFeatures).fill(0);
      this.A_inv = each(() => zeros().map((_, i) => zeros().map((__, j) => (i === j ? 1 / ridge : 0))));
      this.b = each(zeros);
      this.theta = each(zeros);
    }

    /* θ̂ₐᵀx and √(xᵀAₐ⁻¹x) of every arm. */
    estimates(x) {
      const squared = this.A_inv.map((A_inv) => dot(A_inv.map((row) => dot(row, x)), x));
      return {
        mean: this.theta.map((theta) => dot(theta, x)),
        width: squared.map((value) => Math.sqrt(Math.max(value, 0))),
      };
    }

    add(arm, x, reward) {
      const A_inv = this.A_inv[arm];
      const direction = A_inv.map((row) => dot(row, x)); // A⁻¹x
      const growth = 1 + dot(x, direction);
      A_inv.forEach((row, i) => {
        row.forEach((_, j) => (row[j] -= (direction[i] * direction[j]) / growth));
      });
      this.b[arm] = this.b[arm].map((value, i) => value + reward * x[i]);
      this.theta[arm] = A_inv.map((row) => dot(row, this.b[arm]));
    }
  }

  /* alg-linucb, disjoint: shows the arm with the largest θ̂ₐᵀx + α √(xᵀAₐ⁻¹x). */
  class LinUCB {
    constructor(nArms, nFeatures, alpha, ridge, seed = 0) {
      this.alpha = alpha;
      this.memory = new RidgeMemory(nArms, nFeatures, ridge);
      this.random = mulberry32(seed);
    }

    ucb(x) {
      const { mean, width } = this.memory.estimates(x);
      return mean.map((value, a) => value + this.alpha * width[a]);
    }

    select(x) {
      return argmaxRandomTies(this.ucb(x), this.random());
    }

    update(arm, x, reward) {
      this.memory.add(arm, x, reward);
    }
  }

  /* With probability ε an arm drawn uniformly, else what the policy shows. It draws equally often
     in every round, so that a replay with another ε or another shock meets the same draws. */
  class EpsilonGreedy {
    constructor(policy, epsilon, seed = 0) {
      Object.assign(this, { policy, epsilon });
      this.random = mulberry32(seed);
    }

    select(x) {
      const greedy = this.policy.select(x);
      const uniform = Math.floor(this.random() * this.policy.memory.b.length);
      return this.random() < this.epsilon ? uniform : greedy;
    }

    update(arm, x, reward) {
      this.policy.update(arm, x, reward);
    }
  }

  /* The same visits for three players: you, LinUCB and ε-greedy. Each round has one uniform, and
     whoever shows a product with a click probability above it gets the click. */
  class Game {
    constructor(data, stream = 0) {
      this.data = data;
      this.settings = { ...data.settings, strength: 1, at: 500 };
      this.restart(stream);
    }

    /* Forget all that was played, and begin with the first visit of a stream. */
    restart(stream = this.stream) {
      this.stream = stream % this.data.streams.length;
      this.choices = []; // your arm and the settings of α and ε, of every round so far
      this._begin();
    }

    /* Play the rounds so far again, with the same choices and settings, in the shop as it is set. */
    replay() {
      this._begin();
      this.choices.forEach((choice) => this._play(choice));
    }

    _begin() {
      const { alpha, ridge, epsilon, strength, at } = this.settings;
      const [nArms, d] = [this.data.products.category.length, this.data.features[0].length];
      const seeds = [1, 2, 3].map((n) => 10 * this.stream + n);
      this.shop = new Shop(this.data, strength, at);
      this.linucb = new LinUCB(nArms, d, alpha, ridge, seeds[0]);
      const greedy = new LinUCB(nArms, d, 0, ridge, seeds[1]);
      this.epsilonGreedy = new EpsilonGreedy(greedy, epsilon, seeds[2]);
      this.now = 0;
      this.traces = Object.fromEntries(
        ["you", "linucb", "epsilon"].map((name) => [name, { arms: [], clicks: [], lost: [0] }]),
      );
    }

    get length() {
      return this.data.streams[this.stream].users.length;
    }

    get isOver() {
      return this.now >= this.length;
    }

    /* Who visits in this round; after the last round the last visitor stays. */
    get user() {
      return this.data.streams[this.stream].users[Math.min(this.now, this.length - 1)];
    }

    get x() {
      return this.data.features[this.user];
    }

    /* LinUCB's intervals for this visitor, with α as it is set now. */
    intervals() {
      this.linucb.alpha = this.settings.alpha;
      return { ...this.linucb.memory.estimates(this.x), ucb: this.linucb.ucb(this.x) };
    }

    /* Show your product to this visitor; the policies show theirs. */
    play(arm) {
      const { alpha, epsilon } = this.settings;
      const choice = { arm, alpha, epsilon };
      this.choices.push(choice);
      this._play(choice);
    }

    _play({ arm, alpha, epsilon }) {
      const { x } = this;
      const mu = this.shop.mu(this.user, this.now);
      const uniform = this.data.streams[this.stream].uniforms[this.now];
      this.linucb.alpha = alpha;
      this.epsilonGreedy.epsilon = epsilon;
      this._record("you", arm, mu, uniform);
      for (const [name, policy] of [["linucb", this.linucb], ["epsilon", this.epsilonGreedy]]) {
        const shown = policy.select(x);
        policy.update(shown, x, this._record(name, shown, mu, uniform));
      }
      this.now += 1;
    }

    /* Note what a player showed; returns the click. `lost` is the pseudo-regret (def-regret). */
    _record(name, arm, mu, uniform) {
      const { arms, clicks, lost } = this.traces[name];
      const click = uniform < mu[arm] ? 1 : 0;
      arms.push(arm);
      clicks.push(click);
      lost.push(lost.at(-1) + Math.max(...mu) - mu[arm]);
      return click;
    }
  }

  return { mulberry32, argmaxRandomTies, Shop, RidgeMemory, LinUCB, EpsilonGreedy, Game };
})();
