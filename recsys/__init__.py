"""The package behind *Modern Recommendation Systems: Notes and Code*.

One idea a file, a room a subject, and a face to every room: ``from recsys.shop import Shop``. What
chapters share comes first; the test of the layers says which room may ask which.

The ground
~~~~~~~~~~
=========================== ========================================================================
``checks``                  refuses bad arguments, naming the argument
``archive``                 state on disk, without code
``worlds``                  which worlds are drawn: one setting shifts every seed
=========================== ========================================================================

``recsys.shop``: the simulated shop, in all chapters
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``shop.records``            visits, logs and traces
``shop.streams``            randomness in separate, replayable streams
``shop.world``              who lives in the shop: personas, users, products
``shop.simulator``          the shop as time passes: visits, clicks, logs, shocks, drift, churn
``shop.features``           what a policy is allowed to see of a visit
=========================== ========================================================================

``recsys.policies``: what all policies have in common
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``policies.base``           the two verbs, ``select`` and ``update``
``policies.simple``         random, the most popular, and the oracle
``policies.exploration``    three ways to explore: a coin, optimism, a draw from what is believed
``policies.late``           feedback that waits until a batch is complete
=========================== ========================================================================

``recsys.baseline``: chapter 1
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``baseline.click_network``  Embedding + MLP
``baseline.training``       settings, rows and a step: what a training is made of
``baseline.course``         ... and the training, of one network or of many together
``baseline.closed_form``    a step of that, written out
``baseline.own_log``        what is fitted: a shop's log, or arrays of somebody's own
``baseline.greedy``         the policy that a trained network makes
``baseline.logistic``       logistic regression, the sanity line beside it
``baseline.newcomers``      rows of newcomers, drawn again or borrowed from what is like them
``baseline.nightly``        what a shop trains from its log every night
``baseline.nights``         ... and what comes of it: the feedback loop, one decision at a time
``baseline.season``         chapter 1's log, the models trained on it, and newcomers after it
=========================== ========================================================================

``recsys.linear``: chapter 2
~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``linear.linucb``           linear bandits: LinUCB, discounted, windowed, shared, Thompson
``linear.memory``           what they remember: ridge regression, one rank-one update at a time
``linear.forgetful_memory`` ... and what they forget: windows and discounts
``linear.widths``           ... and how the widths of many arms are read quickly
``linear.packed``           ... symmetric matrices as triangles, half the numbers
``linear.late_sums``        ... and sums that are read seldom, added to in bulk
``linear.state``            ... by name: written down, taken over, widened by new models
``linear.persistence``      a policy reads a log at once, takes new arms, goes to disk
``linear.unknown_noise``    Thompson sampling that learns how noisy rewards are
``linear.products``         rows times many vectors or matrices in one call
=========================== ========================================================================

``recsys.gradients``: chapter 3, the gradient of every arm's score
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``gradients.mlp``           networks that score rows one by one, taken apart
``gradients.backprop``      the two factors of every per-arm gradient, in one backward pass
``gradients.few``           ... and for a few rows of a small network, without torch
``gradients.jacobian``      per-arm gradients four ways
``gradients.rows``          rows on their way through a network: checked, and in chunks
=========================== ========================================================================

``recsys.neural``: chapter 3, NeuralUCB
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``neural.neuralucb``        one network for all arms, and optimism in the space of its gradients
``neural.relatives``        neural Thompson sampling, and a linear model on the last layer
``neural.network``          the network, as published or with the usual deviations
``neural.schedule``         when it is trained, and how
``neural.training``         how it is trained: gradient descent on all rounds so far
``neural.bonus``            the exploration bonus in four forms, by name
``neural.memory``           ... from p parameters: the inverse of Z
``neural.diagonal_memory``  ... from p parameters: the diagonal of Z alone
``neural.dual_memory``      ... from t rounds: exact, without a gradient
``neural.digits``           ... how many digits of a width are left, and what Z cannot hold
``neural.growing``          arrays that grow by a row a round
``neural.pruning``          the arm with the largest bound, without the bounds of the others
``neural.refusals``         ... and what a policy refuses, to be as it was before the call
``neural.persistence``      a neural policy on disk, to go on as if nothing had happened
=========================== ========================================================================

``recsys.lab``: experiments
~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``lab.experiment``          policies against the shop or a data set, with common random numbers
``lab.rounds``              a policy that learns, round by round
``lab.table``               a data set as a world: rounds with the reward of every arm
``lab.serving``             a policy that stands still for a day, and is trained anew at night
``lab.parallel``            one function over many seeds or cases, in parallel
``lab.metrics``             log loss, AUC, exposure, rates from logs
``lab.calibration``         ... and whether predictions mean what they say
``lab.columns``             ... of columns of numbers, in any order
``lab.weighting``           what a policy would have earned, by the log of another one
``lab.coverage``            ... and how often its interval holds, over thousands of logs
``lab.bands``               means over seeds and their confidence bands
``lab.family``              several comparisons at once, after Holm and Bonferroni
``lab.arena``               shops with logs and trends to come, and agents that have read the logs
``lab.tuning``              a search for settings: points, worlds, an equal budget
``lab.record``              ... and what it leaves: every outcome, and the rule that chose
``lab.limits``              what linear models can reach at best
``lab.linear_world``        a world in which the theorems' assumptions hold
=========================== ========================================================================

``recsys.cost``: what a computation costs
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``cost.tally``              calls, operations, bytes and peak memory, counted
``cost.timing``             ways that take turns, so that ratios are steady
``cost.scaling``            the exponents with which measured times grow
=========================== ========================================================================

``recsys.pages``: the book itself
~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~
=========================== ========================================================================
``pages.figures``           one look for every figure
``pages.literate``          live source and glued numbers for the pages
``pages.tables``            tables of numbers and bands
``pages.diagrams.strokes``  what drawn diagrams are made of: boxes, arrows, dots, words
``pages.diagrams.shop_and_log``  the shop and its log
``pages.diagrams.propensity``  what a propensity does
``pages.diagrams.embedding_mlp``  Embedding + MLP with its shapes
``pages.diagrams.feedback_loop``  the loop of chapter 1
=========================== ========================================================================
"""

__version__ = "0.1.0"
