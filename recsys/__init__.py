"""The package behind *Modern Recommendation Systems: Notes and Code*.

One idea a file; a chapter reads its file from top to bottom.

========================  =====================================================================
``recsys.checks``         refuses bad arguments, naming the argument
``recsys.streams``        randomness in separate, replayable streams
``recsys.records``        visits and logs
``recsys.world``          who lives in the shop: personas, users, products
``recsys.simulator``      the shop as time passes: visits, clicks, logs, shocks, drift, churn
``recsys.features``       what a policy is allowed to see of a visit
``recsys.policies``       the two verbs of every policy, and the simple policies
``recsys.baseline``       Embedding + MLP, and how it is trained
``recsys.experiment``     policies against the shop: seeds, common random numbers, parallel runs
``recsys.evaluation``     regret, paired bands, log loss, AUC, calibration
``recsys.figures``        one look for every figure
``recsys.literate``       live source and glued numbers for the pages
========================  =====================================================================
"""

__version__ = "0.1.0"
