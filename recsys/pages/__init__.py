"""What the pages of the book need: figures, tables, live source, numbers for the prose."""

from recsys.pages.diagrams import (
    draw_embedding_mlp,
    draw_feedback_loop,
    draw_propensity,
    draw_shop_and_log,
)
from recsys.pages.figures import (
    COLOURS,
    DASHES,
    TALL,
    WIDE,
    dots,
    label_end,
    line,
    mark_round,
    use_book_style,
)
from recsys.pages.literate import glue_estimates, glue_numbers, show_source
from recsys.pages.tables import table

__all__ = [
    "COLOURS",
    "DASHES",
    "TALL",
    "WIDE",
    "dots",
    "draw_embedding_mlp",
    "draw_feedback_loop",
    "draw_propensity",
    "draw_shop_and_log",
    "glue_estimates",
    "glue_numbers",
    "label_end",
    "line",
    "mark_round",
    "show_source",
    "table",
    "use_book_style",
]
