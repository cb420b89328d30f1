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
``recsys.stacked``          rows times many vectors or matrices in one call
``recsys.parallel``         one function over many seeds or cases, in parallel
``recsys.serving``          a policy that stands still for a day, and is trained anew at night
``recsys.experiment``       policies against the shop with common random numbers
``recsys.evaluation``       regret, paired bands, log loss, AUC, calibration
``recsys.figures``          one look for every figure
``recsys.literate``         live source and glued numbers for the pages
==========================  =====================================================================
"""

__version__ = "0.1.0"
