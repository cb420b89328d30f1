"""Drawn diagrams, one a file: each is a function without arguments that returns its figure."""

__all__: list[str] = []
