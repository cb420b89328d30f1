"""Bugs to plant: the kind that other books have published, each with the test that must notice.

To add one: name the file of recsys, a piece of its code that occurs exactly once there, what stands
in its place in the bug, and the node id of one test that fails then. For example:

    Mutant(
        name="gradient-without-sign",
        file="baseline/click_network.py",
        before="return sigmoid(logit) - label",
        after="return sigmoid(logit) + label",
        killed_by="tests/book/test_theorems.py::test_prop_bce_gradient_matches_autograd",
    ),
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    """One planted bug."""

    name: str
    file: str  # inside recsys/
    before: str  # occurs exactly once in the file
    after: str
    killed_by: str  # the node id of a test


MUTANTS: list[Mutant] = [
    Mutant(
        name="persona-without-features",
        file="shop/world.py",
        before="return Users(persona, log_affinity, sensitivity, activity, features)",
        after=(
            "features = features * (persona > 0)[:, None]\n"
            "    return Users(persona, log_affinity, sensitivity, activity, features)"
        ),
        killed_by=(
            "tests/shop/test_world.py::test_every_personas_mean_feature_vector_is_distinct_and_nonzero"
        ),
    ),
    Mutant(
        name="id-range-off-by-one",
        file="checks.py",
        before="high >= upper",
        after="high > upper",
        killed_by=("tests/test_checks.py::test_ids_pass_exactly_when_each_one_is_in_range"),
    ),
    Mutant(
        name="click-when-uniform-exceeds",
        file="shop/simulator.py",
        before="(visits.uniforms < mu)",
        after="(visits.uniforms > mu)",
        killed_by=(
            "tests/shop/test_simulator.py::test_clicks_agree_with_their_probabilities_overall_and_in_every_decile"
        ),
    ),
    Mutant(
        name="update-without-its-reward",
        file="lab/rounds.py",
        before="rows[t].take(place, axis=0), reward)",
        after="rows[t].take(place, axis=0), 0.0 * reward)",
        killed_by=(
            "tests/lab/test_experiment.py::test_a_learning_policy_is_updated_after_each_reward_with_the_row_that_was_played"
        ),
    ),
    Mutant(
        name="update-with-another-arms-row",
        file="lab/rounds.py",
        before="rows[t].take(place, axis=0)",
        after="rows[t].take(0 * place, axis=0)",
        killed_by=(
            "tests/lab/test_experiment.py::test_a_learning_policy_is_updated_after_each_reward_with_the_row_that_was_played"
        ),
    ),
    Mutant(
        name="agent-reused-between-seeds",
        file="lab/experiment.py",
        before="contestant(shop, shop.policy_rng(name))\n",
        after=(
            "vars(one_seed).setdefault(\n"
            "                name, contestant(shop, shop.policy_rng(name))\n            )\n"
        ),
        killed_by=(
            "tests/lab/test_experiment.py::test_every_seed_gets_a_fresh_shop_and_a_fresh_agent"
        ),
    ),
    Mutant(
        name="band-without-pairing",
        file="lab/bands.py",
        before="return band(first - second, level)",
        after="return band(first - np.roll(second, 1), level)",
        killed_by=(
            "tests/lab/test_metrics.py::test_what_the_seeds_share_cancels_in_the_paired_band_only"
        ),
    ),
    Mutant(
        name="band-with-ddof-zero",
        file="lab/bands.py",
        before="samples.std(axis=0, ddof=1)",
        after="samples.std(axis=0, ddof=0)",
        killed_by=("tests/lab/test_metrics.py::test_a_band_is_the_student_t_interval"),
    ),
    Mutant(
        name="band-without-square-root",
        file="lab/bands.py",
        before="ddof=1) / np.sqrt(n)",
        after="ddof=1)",
        killed_by=(
            "tests/lab/test_metrics.py::test_the_band_covers_the_mean_as_often_as_it_says[20]"
        ),
    ),
    Mutant(
        name="band-normal-in-place-of-t",
        file="lab/bands.py",
        before="stdtrit(n - 1, 0.5 + level / 2)",
        after="stdtrit(1e9, 0.5 + level / 2)",
        killed_by="tests/lab/test_metrics.py::test_the_band_covers_the_mean_as_often_as_it_says[5]",
    ),
    Mutant(
        name="validation-rows-at-random",
        file="baseline/course.py",
        before="torch.randperm(n, generator=order)",
        after="torch.randperm(len(rows[0].clicks), generator=order)[:n]",
        killed_by=(
            "tests/baseline/test_training.py::test_the_last_rows_in_time_validate_and_are_not_trained_on"
        ),
    ),
    Mutant(
        name="written-out-step-lets-gradients-through-a-closed-relu",
        file="baseline/closed_form.py",
        before="delta[i], at.a[i], 0.0, grad_input=delta[i]",
        after="delta[i], at.a[i], -1.0, grad_input=delta[i]",
        killed_by=(
            "tests/baseline/test_closed_form.py::test_closed_form_and_autograd_train_the_same_network[0.0-whole]"
        ),
    ),
    Mutant(
        name="early-stopping-keeps-last",
        file="baseline/course.py",
        before="model.load_state_dict(course.kept)",
        after="model.load_state_dict(step.state(0))",
        killed_by=(
            "tests/baseline/test_training.py::test_early_stopping_keeps_the_best_epoch_and_waits_as_long_as_stated[4]"
        ),
    ),
    Mutant(
        name="ties-that-are-not-shared",
        file="policies/base.py",
        before="return best / best.sum(axis=-1, keepdims=True)",
        after="return best.astype(float)",
        killed_by=(
            "tests/policies/test_policies.py::test_select_draws_each_arm_with_its_stated_probability"
        ),
    ),
    Mutant(
        name="ties-to-lowest-index",
        file="policies/base.py",
        before="lottery = rng.random(scores.shape) + 1.0",
        after="lottery = np.ones(scores.shape)",
        killed_by=(
            "tests/policies/test_policies.py::test_ties_are_broken_uniformly_and_independently_in_every_row"
        ),
    ),
    Mutant(
        name="shock-one-round-late",
        file="shop/simulator.py",
        before='self._shocks], rounds, side="right")',
        after='self._shocks], rounds, side="left")',
        killed_by=(
            "tests/shop/test_simulator.py::test_nothing_changes_before_the_round_of_the_shock_and_it_starts_with_it"
        ),
    ),
    Mutant(
        name="availability-ignored",
        file="policies/base.py",
        before="return np.where(mask, self.scores(contexts), -np.inf)",
        after="return np.broadcast_to(self.scores(contexts), mask.shape)",
        killed_by=("tests/policies/test_policies.py::test_an_arm_off_sale_is_never_chosen"),
    ),
    Mutant(
        name="propensity-of-another-category",
        file="shop/simulator.py",
        before="propensities[rows] = table[top[rows], products[rows]]",
        after="propensities[rows] = table[0, products[rows]]",
        killed_by=(
            "tests/shop/test_simulator.py::test_recorded_propensities_are_those_of_the_product_shown"
        ),
    ),
    Mutant(
        name="ips-without-weights",
        file="lab/metrics.py",
        before="weights = clicks / propensities",
        after="weights = clicks",
        killed_by=(
            "tests/lab/test_metrics.py::test_inverse_propensities_undo_the_selection_that_biases_the_naive_rate"
        ),
    ),
    Mutant(
        name="replay-bounded-by-this-log",
        file="lab/weighting.py",
        before="kept = rng.random(len(weights)) * bound < weights",
        after="kept = rng.random(len(weights)) * weights.max() < weights",
        killed_by=(
            "tests/lab/test_weighting.py::test_replay_keeps_a_row_with_probability_weight_by_bound"
        ),
    ),
    Mutant(
        name="spread-of-a-ratio-without-its-denominator",
        file="lab/weighting.py",
        before="clicked_squares * (1 - 2 * value) + squares * value**2",
        after="clicked_squares - value**2",
        killed_by=(
            "tests/lab/test_weighting.py::test_the_self_normalised_estimate_is_the_weighted_mean_with_the_spread_of_a_ratio"
        ),
    ),
    Mutant(
        name="logs-of-the-wrong-rule",
        file="lab/coverage.py",
        before="rows = (visitors[:, None] * logging)[may]",
        after="rows = (visitors[:, None] * target)[may]",
        killed_by=(
            "tests/lab/test_weighting.py::test_the_deviation_of_many_logs_is_that_of_the_proposition"
        ),
    ),
    Mutant(
        name="quality-leaks-into-features",
        file="shop/world.py",
        before="np.eye(len(CATEGORIES))[category], price]",
        after="np.eye(len(CATEGORIES))[category], price + 0.1 * quality]",
        killed_by=("tests/shop/test_world.py::test_quality_cannot_be_read_from_product_features"),
    ),
    Mutant(
        name="best-among-absent-products",
        file="lab/experiment.py",
        before="np.where(on_sale, mu, 0.0).max(axis=-1)",
        after="mu.max(axis=-1)",
        killed_by=("tests/lab/test_experiment.py::test_the_oracle_never_regrets"),
    ),
    Mutant(
        name="policies-share-a-generator",
        file="shop/streams.py",
        before="zlib.crc32(str(name).encode())",
        after='zlib.crc32(b"policy")',
        killed_by=(
            "tests/lab/test_experiment.py::test_the_same_name_gives_the_same_draws_and_another_name_others"
        ),
    ),
    Mutant(
        name="click-noise-by-range-not-round",
        file="shop/simulator.py",
        before='return Visits(rounds, users, self._streams.uniforms("clicks", rounds))',
        after='return Visits(rounds, users, self._streams.rng("clicks").random(n))',
        killed_by=(
            "tests/shop/test_simulator.py::test_a_visit_is_the_same_alone_in_a_range_and_in_any_order"
        ),
    ),
    Mutant(
        name="products-drawn-from-users-stream",
        file="shop/simulator.py",
        before='self.config.n_products, self.config, self._streams.rng("products")',
        after=(
            'self.config.n_products, self.config, self._streams.rng("users", self.config.n_users)'
        ),
        killed_by=(
            "tests/shop/test_simulator.py::test_the_number_of_users_changes_neither_products_nor_uniforms"
        ),
    ),
    Mutant(
        name="shock-hits-everybody",
        file="shop/simulator.py",
        before="np.isin(self.users.persona, affected)",
        after="np.isin(self.users.persona, affected) | True",
        killed_by=(
            "tests/shop/test_simulator.py::test_a_shock_leaves_the_other_personas_and_all_features_alone"
        ),
    ),
    Mutant(
        name="drift-from-the-start",
        file="shop/simulator.py",
        before="np.sin(angle + phase) - np.sin(phase)",
        after="np.sin(angle + phase)",
        killed_by=(
            "tests/shop/test_simulator.py::test_drift_is_zero_at_the_start_periodic_and_not_constant"
        ),
    ),
    Mutant(
        name="affinity-does-not-saturate",
        file="shop/simulator.py",
        before="* expit(log_affinity)",
        after="* np.exp(log_affinity)",
        killed_by=(
            "tests/shop/test_simulator.py::test_click_probabilities_follow_the_stated_model"
        ),
    ),
    Mutant(
        name="greedy-explores-half",
        file="policies/exploration.py",
        before="(1 - self.epsilon) * greedy + self.epsilon * uniform",
        after="greedy * (1 - self.epsilon / 2) + self.epsilon / 2 * uniform",
        killed_by=(
            "tests/policies/test_policies.py::test_select_draws_each_arm_with_its_stated_probability"
        ),
    ),
    Mutant(
        name="network-loaded-without-its-parameters",
        file="baseline/click_network.py",
        before="model.load_state_dict(dict(zip(model.state_dict(), saved, strict=True)))",
        after="dict(zip(model.state_dict(), saved, strict=True))",
        killed_by="tests/baseline/test_click_network.py::test_a_network_comes_back_from_its_file_exactly",
    ),
    Mutant(
        name="global-generator-seeded",
        file="baseline/click_network.py",
        before="draws = torch.Generator().manual_seed(worlds.shifted(seed) % 2**64)",
        after="draws = torch.manual_seed(seed)",
        killed_by=(
            "tests/baseline/test_click_network.py::test_building_training_and_predicting_leave_the_global_generators_alone"
        ),
    ),
    Mutant(
        name="divergence-reversed",
        file="lab/metrics.py",
        before="rel_entr(p, q) + rel_entr(1 - p, 1 - q)",
        after="rel_entr(q, p) + rel_entr(1 - q, 1 - p)",
        killed_by="tests/book/test_theorems.py::test_prop_proper_scoring_decomposition",
    ),
    Mutant(
        name="best-is-the-mean",
        file="lab/experiment.py",
        before="np.where(on_sale, mu, 0.0).max(axis=-1)",
        after="np.where(on_sale, mu, 0.0).mean(axis=-1)",
        killed_by="tests/book/test_theorems.py::test_prop_static_regret_is_zero_only_for_the_optimal_policy",
    ),
    Mutant(
        name="one-embedding-for-all-ids",
        file="baseline/click_network.py",
        before="table(identifiers[:, i])",
        after="table(identifiers[:, 0])",
        killed_by="tests/book/test_theorems.py::test_prop_embedding_linear_gradient_touches_looked_up_rows",
    ),
    Mutant(
        name="bonus-without-square-root",
        file="linear/memory.py",
        before="np.sqrt(np.maximum(squared, 0.0))",
        after="np.maximum(squared, 0.0)",
        killed_by="tests/linear/test_linucb.py::test_an_update_worked_out_by_hand",
    ),
    Mutant(
        name="alpha-squared",
        file="policies/exploration.py",
        before="return mean + self.alpha * width\n",
        after="return mean + self.alpha**2 * width\n",
        killed_by="tests/linear/test_linucb.py::test_an_update_worked_out_by_hand",
    ),
    Mutant(
        name="update-of-the-wrong-arm",
        file="linear/linucb.py",
        before="self.memory.add(self._models(arms), context, rewards)",
        after="self.memory.add((self._models(arms) + 1) % self.n_arms, context, rewards)",
        killed_by="tests/linear/test_linucb.py::test_an_update_worked_out_by_hand",
    ),
    Mutant(
        name="inverse-started-at-lambda",
        file="linear/memory.py",
        before="np.tile(start / self.ridge, (n, 1))",
        after="np.tile(start * self.ridge, (n, 1))",
        killed_by="tests/linear/test_linucb.py::test_an_update_worked_out_by_hand",
    ),
    Mutant(
        name="discount-on-the-pulled-arm-only",
        file="linear/forgetful_memory.py",
        before="self._last[at] = self.rounds",
        after="self._last[...] = self.rounds",
        killed_by="tests/linear/test_linucb.py::test_the_discount_reaches_arms_that_are_not_shown",
    ),
    Mutant(
        name="v-in-the-place-of-v-tilde",
        file="linear/forgetful_memory.py",
        before="axes @ self._G_tilde[at] @ vectors",
        after="axes @ self._G[at] @ vectors",
        killed_by="tests/linear/test_linucb.py::test_fading_when_asked_is_fading_in_every_round",
    ),
    Mutant(
        name="window-off-by-one",
        file="linear/forgetful_memory.py",
        before="if self.rounds > self.window:",
        after="if self.rounds > self.window + 1:",
        killed_by="tests/linear/test_linucb.py::test_a_window_knows_what_a_newcomer_learns_from_the_last_rounds",
    ),
    Mutant(
        name="thompson-without-alpha",
        file="policies/exploration.py",
        before="self.alpha * width * self.rng.standard_normal",
        after="width * self.rng.standard_normal",
        killed_by="tests/linear/test_linucb.py::test_a_draw_has_the_mean_and_the_variance_of_the_posterior",
    ),
    Mutant(
        name="another-network-leaves-the-stack",
        file="baseline/course.py",
        before="step.keep([j for j, more in enumerate(on) if more])",
        after="step.keep(list(range(sum(on))))",
        killed_by=(
            "tests/baseline/test_training_together.py::test_together_and_alone_are_the_same_in_double_precision[0.0-shape0]"
        ),
    ),
    Mutant(
        name="threads-of-the-caller-in-a-sweep",
        file="lab/parallel.py",
        before="torch.set_num_threads(1)",
        after="torch.set_num_threads(threads)",
        killed_by=(
            "tests/lab/test_parallel.py::test_results_do_not_depend_on_processes_nor_on_the_threads_of_the_caller[2]"
        ),
    ),
    Mutant(
        name="probabilities-of-before-the-trend",
        file="shop/simulator.py",
        before="self._tables[stage] = self.click_probability(users, products, began)",
        after="self._tables[stage] = self.click_probability(users, products, 0)",
        killed_by="tests/shop/test_simulator.py::test_all_probabilities_of_visits_are_those_of_their_products",
    ),
    Mutant(
        name="rows-at-once-do-not-fade",
        file="linear/forgetful_memory.py",
        before="X.T @ (weight**2 * X)",
        after="X.T @ (weight * X)",
        killed_by="tests/linear/test_add_many.py::test_rows_at_once_teach_what_rows_one_by_one_teach[25-discounted-None]",
    ),
    Mutant(
        name="drift-control-by-age-only",
        file="linear/memory.py",
        before="due = age >= self.refresh_every or not TRUSTED[0] <= growth <= TRUSTED[1]",
        after="due = age >= self.refresh_every",
        killed_by="tests/linear/test_linucb.py::test_the_first_badly_scaled_rows_are_not_subtracted_away",
    ),
    Mutant(
        name="update-before-scoring",
        file="lab/rounds.py",
        before="take(place, axis=0), reward)\n",
        after=(
            "take(place, axis=0), reward)\n"
            "        arms[t] = policy.select(contexts[t], offers[t])\n"
        ),
        killed_by=(
            "tests/linear/test_linucb.py::test_every_arm_shown_is_optimal_by_what_was_known_before_its_reward[linucb]"
        ),
    ),
    Mutant(
        name="warmed-agent-called-fresh",
        file="linear/linucb.py",
        before="return RidgeMemory(n_models, self.n_features, ridge, self.n_worlds)",
        after=(
            "return vars(LinUCB._new_memory).setdefault(  # lives as long as the class\n"
            "            (n_models, self.n_features, ridge, self.n_worlds),\n"
            "            RidgeMemory(n_models, self.n_features, ridge, self.n_worlds),\n"
            "        )"
        ),
        killed_by="tests/linear/test_linucb.py::test_what_one_agent_learns_no_other_agent_knows",
    ),
    Mutant(
        name="pairs-counted-once",
        file="linear/packed.py",
        before="np.where(i == j, 1.0, 2.0)",
        after="np.ones(len(i))",
        killed_by="tests/linear/test_packed.py::test_forms_are_those_of_loops",
    ),
    Mutant(
        name="rows-put-aside-are-lost",
        file="linear/late_sums.py",
        before="        if self.n == len(self.rows):\n            self.settle()\n",
        after="        self.n %= len(self.rows)\n",
        killed_by="tests/linear/test_packed.py::test_late_sums_are_sums",
    ),
    Mutant(
        name="few-rows-through-a-closed-unit",
        file="gradients/few.py",
        before="delta *= a > 0",
        after="delta *= a >= 0",
        killed_by="tests/gradients/test_few.py::test_few_factors_are_the_factors",
    ),
    Mutant(
        name="widths-of-the-round-before",
        file="linear/widths.py",
        before="            self._matrices[at] = self.packing.unpack(self.inverses[at])\n",
        after="            pass\n",
        killed_by="tests/linear/test_widths.py::test_widths_are_those_of_the_matrices_at_every_age",
    ),
    Mutant(
        name="corrections-of-another-arm",
        file="linear/widths.py",
        before="free, last = np.flatnonzero(mine[:n]), n + np.flatnonzero(~mine[n:])",
        after="free, last = np.flatnonzero(mine[:n]), n + np.arange(mine[:n].sum())",
        killed_by="tests/linear/test_widths.py::test_widths_are_those_of_the_matrices_at_every_age",
    ),
    Mutant(
        name="one-model-kept-as-few-rows",
        file="linear/widths.py",
        before="len(shape) == 1 and shape[0] > 1 and",
        after="len(shape) == 1 and",
        killed_by="tests/linear/test_widths.py::test_one_large_model_for_all_arms_scores_each_row_by_itself",
    ),
    Mutant(
        name="fresh-inverse-not-passed-on",
        file="linear/widths.py",
        before="        if fresh or self.places",
        after="        if self.places",
        killed_by="tests/linear/test_widths.py::test_a_row_that_costs_digits_is_kept_as_a_fresh_inverse",
    ),
    Mutant(
        name="nan-is-not-too-large",
        file="checks.py",
        before="if not np.vdot(array, array) < longest**2:",
        after="if np.vdot(array, array) >= longest**2:",
        killed_by=(
            "tests/test_checks.py::test_one_value_that_is_not_finite_is_found_wherever_it_stands"
        ),
    ),
    Mutant(
        name="a-logs-gradients-taken-before-the-training-on-it",
        file="neural/neuralucb.py",
        before="""        try:
            self.replay.train(self.model, steps)
        finally:
            if self.memory is not None:
                for rows in parts:
                    self.memory.hold(self._factors(rows))
            for rows in parts:
                self._remember(self._factors(rows))
""",
        after="""        for rows in parts:
            self._remember(self._factors(rows))
        self.replay.train(self.model, steps)
""",
        killed_by=(
            "tests/neural/test_neuralucb.py::"
            "test_reading_trains_on_all_rounds_and_adds_their_gradients_afterwards"
        ),
    ),
    Mutant(
        name="one-layers-bias-left-out-of-the-kernel",
        file="gradients/backprop.py",
        before="if biased:\n                inner += 1.0",
        after="if biased and a.shape[-1] != self.shapes[0][0]:\n                inner += 1.0",
        killed_by="tests/neural/test_neural_memory.py::test_the_network_of_the_chapter_agrees_in_all_exact_forms",
    ),
    Mutant(
        name="arms-of-one-chunk-dropped",
        file="gradients/rows.py",
        before="for i in range(0, n, size))",
        after="for i in range(0, max(1, n - size), size))",
        killed_by="tests/gradients/test_backprop.py::test_chunks_cover_every_row_once",
    ),
    Mutant(
        name="bonus-of-one-chunk-of-arms-dropped",
        file="neural/memory.py",
        before="torch.cat([self._bonus(factors.rows(part)) for part in chunks(n, size)], -1)",
        after="torch.cat([self._bonus(factors.rows(part)) for part in chunks(n - size, size)], -1)",
        killed_by="tests/neural/test_neural_memory.py::test_chunks_of_arms_change_nothing",
    ),
    Mutant(
        name="delta-of-a-unit-that-is-off",
        file="gradients/backprop.py",
        before="torch.ops.aten.threshold_backward(delta @ weight, a, 0.0)",
        after="delta @ weight",
        killed_by="tests/gradients/test_jacobian.py::test_a_unit_that_is_off_passes_nothing_on",
    ),
    Mutant(
        name="diagonal-where-full-is-meant",
        file="neural/bonus.py",
        before='"full": FullMemory,',
        after='"full": DiagonalMemory,',
        killed_by="tests/gradients/test_jacobian.py::test_exact_bonuses_are_those_of_an_explicit_inverse",
    ),
    Mutant(
        name="woodbury-without-lambda",
        file="neural/dual_memory.py",
        before="corner = self.ridge + self.scale",
        after="corner = 1.0 + self.scale",
        killed_by="tests/gradients/test_jacobian.py::test_a_bonus_worked_out_by_hand",
    ),
    Mutant(
        name="sherman-morrison-without-growth",
        file="neural/memory.py",
        before="direction / growth.sqrt()[..., None]",
        after="direction * growth.sqrt()[..., None] ** 0",
        killed_by="tests/gradients/test_jacobian.py::test_a_bonus_worked_out_by_hand",
    ),
    Mutant(
        name="gradient-at-the-new-parameters",
        file="neural/neuralucb.py",
        before='before = plan.gradient_at == "before"',
        after="before = False",
        killed_by="tests/neural/test_neuralucb.py::test_the_gradient_of_z_is_taken_before_the_training",
    ),
    Mutant(
        name="width-without-one-over-root-m",
        file="neural/neuralucb.py",
        before="self.scale = 1.0 / widths[-1] if",
        after="self.scale = 1.0 if",
        killed_by=(
            "tests/neural/test_neuralucb.py::test_the_first_bound_is_all_width_and_worked_out_by_hand"
        ),
    ),
    Mutant(
        name="full-covariance-that-is-diagonal",
        file="neural/bonus.py",
        before='"full": FullMemory,',
        after='"full": DiagonalMemory,',
        killed_by="tests/neural/test_neuralucb.py::test_the_exact_covariances_agree",
    ),
    Mutant(
        name="replay-that-forgets",
        file="neural/training.py",
        before="return self.rows.rows, self.rewards.rows[..., 0], 1.0",
        after="return self.rows.rows[..., -50:, :], self.rewards.rows[..., -50:, 0], 1.0",
        killed_by="tests/neural/test_neural_training.py::test_rounds_are_never_forgotten",
    ),
    Mutant(
        name="reward-stored-only-when-trained",
        file="neural/neuralucb.py",
        before='if due or plan.replay == "all":',
        after="if due:",
        killed_by="tests/neural/test_neuralucb.py::test_training_leaves_z_and_forgets_no_round",
    ),
    Mutant(
        name="summed-loss-where-a-mean-is-meant",
        file="neural/training.py",
        before='weight = 1.0 if plan.loss == "sum" else 1.0 / n',
        after="weight = 1.0",
        killed_by="tests/neural/test_neuralucb.py::test_every_deviation_makes_a_difference",
    ),
    Mutant(
        name="rounding-that-feeds-the-next-round",
        file="neural/growing.py",
        before="if not bool((known := q >= self.floor).all()):",
        after="if not bool((known := q >= -1e300).all()):",
        killed_by=(
            "tests/neural/test_digits.py::"
            "test_rounds_beyond_the_digits_leave_a_memory_of_finite_numbers"
        ),
    ),
    Mutant(
        name="half-of-the-digits-taken-for-all",
        file="neural/digits.py",
        before="least = torch.finfo(before.dtype).eps ** 0.5",
        after="least = torch.finfo(before.dtype).eps",
        killed_by="tests/neural/test_digits.py::test_who_is_not_warned_has_half_of_the_digits",
    ),
    Mutant(
        name="a-row-that-is-refused-after-it-was-learnt",
        file="neural/refusals.py",
        before='self.replay.go_back(self.model, mark["replay"])',
        after="pass",
        killed_by=(
            "tests/neural/test_neural_robust.py::"
            "test_a_refusal_after_the_training_takes_the_training_back"
        ),
    ),
    Mutant(
        name="second-span-counted-from-the-first",
        file="neural/schedule.py",
        before="(rounds - self.until) % self.then == 0",
        after="(rounds - self.first) % self.then == 0",
        killed_by="tests/neural/test_neural_robust.py::test_a_schedule_of_two_spans_and_an_end",
    ),
    Mutant(
        name="neural-bonus-without-square-root",
        file="neural/neuralucb.py",
        before="np.sqrt(squared.astype(float))",
        after="squared.astype(float)",
        killed_by=(
            "tests/neural/test_neuralucb.py::test_the_first_bound_is_all_width_and_worked_out_by_hand"
        ),
    ),
    Mutant(
        name="arms-of-one-chunk-not-scored",
        file="neural/neuralucb.py",
        before="for part in chunks(flat.shape[-2], ARMS):",
        after="for part in chunks(min(flat.shape[-2], 6 * ARMS), ARMS):",
        killed_by="tests/neural/test_neuralucb.py::test_arms_go_through_in_chunks_that_change_nothing",
    ),
    Mutant(
        name="majorant-that-is-too-small",
        file="neural/pruning.py",
        before="return (D / v).amax(dim=-1), v",
        after="return (D / v).mean(dim=-1), v",
        killed_by="tests/neural/test_pruning.py::test_a_majorant_is_nowhere_less",
    ),
    Mutant(
        name="needed-width-without-square",
        file="neural/pruning.py",
        before="clamp_min_(0.0).square_()",
        after="clamp_min_(0.0)",
        killed_by="tests/neural/test_pruning.py::test_the_arm_is_that_with_the_largest_of_all_bounds",
    ),
    Mutant(
        name="strip-that-forgets-the-rounds-before-it",
        file="neural/pruning.py",
        before="k[:, : rounds.start] = known",
        after="k[:, : rounds.start] = 0.0",
        killed_by="tests/neural/test_pruning.py::test_no_rival_is_missing_and_bonuses_are_right",
    ),
    Mutant(
        name="relatives-that-prune",
        file="neural/neuralucb.py",
        before=" or not self.prunes:",
        after=":",
        killed_by="tests/neural/test_pruning.py::test_relatives_that_choose_otherwise_look_at_all_arms",
    ),
    Mutant(
        name="decay-to-zero",
        file="neural/training.py",
        before='self.initial if plan.towards == "initial" else',
        after='self.initial if plan.towards == "elsewhere" else',
        killed_by="tests/neural/test_neuralucb.py::test_every_deviation_makes_a_difference",
    ),
    Mutant(
        name="output-layer-not-antisymmetric",
        file="neural/network.py",
        before="np.concatenate([half, -half], axis=1)",
        after="np.concatenate([half, half], axis=1)",
        killed_by="tests/neural/test_neuralucb.py::test_the_first_bound_is_all_width_and_worked_out_by_hand",
    ),
    Mutant(
        name="neural-linear-keeps-stale-features",
        file="neural/relatives.py",
        before="if self.schedule.due(self.rounds):",
        after="if self.rounds == 0:",
        killed_by=(
            "tests/neural/test_relatives.py::test_the_score_is_linucbs_on_the_last_hidden_layer"
        ),
    ),
    Mutant(
        name="neural-thompson-without-a-draw",
        file="neural/relatives.py",
        before="class NeuralThompson(ThompsonSampling, NeuralUCB):",
        after="class NeuralThompson(NeuralUCB):",
        killed_by="tests/neural/test_relatives.py::test_a_draw_has_the_stated_mean_and_variance",
    ),
    Mutant(
        name="archive-unpickles",
        file="archive.py",
        before="allow_pickle=False",
        after="allow_pickle=True",
        killed_by="tests/test_archive.py::test_nothing_is_unpickled",
    ),
    Mutant(
        name="exponent-through-the-origin",
        file="cost/scaling.py",
        before="x = x - x.mean()",
        after="x = x + 0.0",
        killed_by="tests/cost/test_scaling.py::test_an_exact_power_law_gives_its_exponent_everywhere",
    ),
    Mutant(
        name="slowest-try-counts",
        file="cost/scaling.py",
        before="total = min(",
        after="total = max(",
        killed_by=(
            "tests/cost/test_scaling.py::test_sizes_take_turns_up_and_down_and_the_fastest_try_counts"
        ),
    ),
    Mutant(
        name="band-over-sizes-of-the-call-overhead",
        file="cost/scaling.py",
        before="self.sizes[-largest:], self.seconds[:, -largest:]",
        after="self.sizes[:largest], self.seconds[:, :largest]",
        killed_by=(
            "tests/cost/test_scaling.py::"
            "test_the_exponent_of_a_growth_is_of_its_largest_sizes_with_a_band_over_turns"
        ),
    ),
    Mutant(
        name="failure-of-the-cluster-not-reported",
        file="lab/parallel.py",
        before="callback(error)",
        after="pass",
        killed_by="tests/lab/test_parallel.py::test_a_call_that_the_cluster_gives_up_ends_the_sweep",
    ),
    Mutant(
        name="archive-written-over-the-older-file",
        file="archive.py",
        before='place = path.with_name(f".{path.name}.{os.getpid()}.part")',
        after="place = path",
        killed_by=(
            "tests/test_archive.py::test_a_save_that_fails_leaves_the_older_file_and_nothing_else"
        ),
    ),
    Mutant(
        name="best-reward-of-a-table-that-is-not-on-offer",
        file="lab/table.py",
        before="np.where(offers, rewards, -np.inf).max(axis=-1)",
        after="rewards.max(axis=-1)",
        killed_by="tests/lab/test_table.py::test_a_run_is_the_plain_loop",
    ),
    Mutant(
        name="every-round-counts-twice-for-the-noise",
        file="linear/unknown_noise.py",
        before="self.shape + self.rounds / 2",
        after="self.shape + self.rounds",
        killed_by="tests/linear/test_unknown_noise.py::test_the_belief_is_the_posterior",
    ),
    Mutant(
        name="new-arms-inherit-what-the-first-know",
        file="linear/state.py",
        before="slice(n_models))] = old",
        after="slice(-n_models, None))] = old",
        killed_by=(
            "tests/linear/test_persistence.py::test_new_arms_know_nothing_and_the_others_all_they_knew"
        ),
    ),
    Mutant(
        name="corrections-of-long-rows-kept",
        file="linear/widths.py",
        before="(x is not None and x.dot(x) > LONG * self.ridge)",
        after="False",
        killed_by="tests/linear/test_widths.py::test_long_rows_are_not_subtracted_from_longer_ones",
    ),
    Mutant(
        name="ties-split-by-the-order-of-rows",
        file="lab/calibration.py",
        before="shared[g].mean()",
        after="outcome[g].mean()",
        killed_by=(
            "tests/lab/test_metrics_order.py::test_predictions_that_hold_have_no_calibration_error_in_any_order[3-0]"
        ),
    ),
    Mutant(
        name="loss-of-a-logit-with-the-wrong-sign",
        file="lab/metrics.py",
        before="p * log_expit(z) + (1 - p) * log_expit(-z)",
        after="p * log_expit(-z) + (1 - p) * log_expit(z)",
        killed_by=("tests/lab/test_metrics.py::test_logits_are_judged_as_their_probabilities"),
    ),
    Mutant(
        name="greedy-on-probabilities",
        file="baseline/greedy.py",
        before="return self.model.logits(contexts)",
        after="return self.model.predict(contexts)",
        killed_by=(
            "tests/baseline/test_own_log.py::test_the_greedy_policy_decides_where_probabilities_round_to_one[40.0]"
        ),
    ),
    Mutant(
        name="written-out-step-without-weights",
        file="baseline/closed_form.py",
        before="if weights is not None:",
        after="if False:",
        killed_by=("tests/baseline/test_weights.py::test_both_steps_are_the_same_with_weights"),
    ),
    Mutant(
        name="weights-of-each-part-over-the-mean-of-all",
        file="baseline/training.py",
        before="parts = given[:n_train], given[n_train:]",
        after="parts = (given,)",
        killed_by=(
            "tests/baseline/test_weights.py::test_the_losses_are_weighted_means_of_what_trains_and_of_what_validates"
        ),
    ),
    Mutant(
        name="second-id-column-in-the-place-of-the-first",
        file="baseline/logistic.py",
        before="+ first[:-1]  # each id",
        after="+ 0 * first[:-1]  # each id",
        killed_by=(
            "tests/baseline/test_logistic.py::test_each_id_has_a_weight_vector_of_its_own[columns1-sizes1]"
        ),
    ),
    Mutant(
        name="untrained-rows-of-another-size",
        file="baseline/newcomers.py",
        before='model.settings["embedding_scale"] * drawn.to(table.device)',
        after="drawn.to(table.device)",
        killed_by=(
            "tests/baseline/test_newcomers.py::test_fresh_rows_have_the_spread_of_untrained_ones_and_no_other_row_moves[0.1]"
        ),
    ),
    Mutant(
        name="entropy-averaged-instead-of-the-mean's",
        file="lab/metrics.py",
        before="return loss / irreducible_loss(np.array([mean]))",
        after="return loss / irreducible_loss(truth)",
        killed_by=(
            "tests/lab/test_metrics.py::test_normalised_entropy_is_one_for_the_mean_and_scikit_learns_ratio_for_clicks"
        ),
    ),
    Mutant(
        name="shops-that-other-worlds-do-not-shift",
        file="shop/streams.py",
        before="np.random.SeedSequence(worlds.shifted(self.seed))",
        after="np.random.SeedSequence(self.seed)",
        killed_by=(
            "tests/test_worlds.py::test_a_seed_in_shifted_worlds_is_the_later_seed[of_shop]"
        ),
    ),
    Mutant(
        name="batches-that-other-worlds-do-not-shift",
        file="baseline/course.py",
        before="manual_seed(worlds.shifted(training.seed) % 2**64)",
        after="manual_seed(training.seed)",
        killed_by=(
            "tests/test_worlds.py::test_a_seed_in_shifted_worlds_is_the_later_seed[of_training]"
        ),
    ),
    Mutant(
        name="cold-restart-called-warm",
        file="baseline/nights.py",
        before="copy.deepcopy(last.model) if last else network",
        after="network",
        killed_by=(
            "tests/baseline/test_nights.py::test_the_loop_is_what_plain_training_and_serving_make_of_it[ids-True]"
        ),
    ),
    Mutant(
        name="random-product-without-propensity",
        file="baseline/nights.py",
        before="propensities = kept + routine.explore / shop.n_products",
        after="propensities = kept",
        killed_by=(
            "tests/baseline/test_nights.py::test_a_day_is_logged_with_the_chances_with_which_its_products_came[own]"
        ),
    ),
]
