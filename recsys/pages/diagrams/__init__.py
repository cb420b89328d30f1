"""Drawn diagrams, one a file: ``draw_...`` takes no arguments and returns the figure."""

from recsys.pages.diagrams.embedding_mlp import draw_embedding_mlp
from recsys.pages.diagrams.feedback_loop import draw_feedback_loop
from recsys.pages.diagrams.propensity import draw_propensity
from recsys.pages.diagrams.shop_and_log import draw_shop_and_log

__all__ = ["draw_embedding_mlp", "draw_feedback_loop", "draw_propensity", "draw_shop_and_log"]
