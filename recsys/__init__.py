"""The package behind *Modern Recommendation Systems: Notes and Code*.

One idea a file; a chapter reads its file from top to bottom.

==========================  =====================================================================
``recsys.checks``           refuses bad arguments, naming the argument
``recsys.streams``          randomness in separate, replayable streams
``recsys.records``          visits, logs and traces
``recsys.world``            who lives in the shop: personas, users, products
``recsys.simulator``        the shop as time passes: visits, clicks, logs, shocks, drift, churn
``recsys.features``         what a policy is allowed to see of a visit
``recsys.policies``         the two verbs of every policy, and the simple policies
``recsys.training``         how a click network is trained
``recsys.baseline``         Embedding + MLP, and the greedy policy it makes
``recsys.logistic``         logistic regression, the sanity line beside it
``recsys.linucb``           linear bandits: LinUCB, discounted, windowed, shared, Thompson
``recsys.linear_memory``    what they remember: ridge regression, one rank-one update at a time
``recsys.forgetful_memory`` ... and what they forget: windows and discounts
``recsys.few_rows``         ... and the widths of many arms that were played a few times each
``recsys.stacked``          rows times many vectors or matrices in one call
``recsys.neuralucb``        one network for all arms, and optimism in the space of its gradients
``recsys.neural_relatives`` neural Thompson sampling, and a linear model on the last layer
``recsys.score_network``    the network, as published or with the usual deviations
``recsys.replay``           how it is trained: gradient descent on all rounds so far
``recsys.mlp``              networks that score rows one by one, taken apart
``recsys.factors``          the two factors of every per-arm gradient, in one sweep
``recsys.gradients``        per-arm gradients four ways, and the exploration bonus in four forms
``recsys.gradient_memory``  the bonus from p parameters: the inverse of Z, or its diagonal
``recsys.dual_memory``      ... and from t rounds: exact, without a gradient
``recsys.pruning``          the arm with the largest bound, without the bounds of the others
``recsys.growing``          arrays that grow by a row a round
``recsys.persistent``       a neural policy on disk, to go on as if nothing had happened
``recsys.archive``          state on disk, without code
``recsys.tally``            calls, operations, bytes and peak memory of a computation, counted
``recsys.parallel``         one function over many seeds or cases, in parallel
``recsys.serving``          a policy that stands still for a day, and is trained anew at night
``recsys.experiment``       policies against the shop with common random numbers
``recsys.evaluation``       regret, paired bands, log loss, AUC, calibration
``recsys.scaling``          the exponents with which measured times grow
``recsys.figures``          one look for every figure
``recsys.literate``         live source and glued numbers for the pages
==========================  =====================================================================
"""

__version__ = "0.1.0"
