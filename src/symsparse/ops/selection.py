"""Choosing between entries: maximum and minimum of two matrices, where on stored entries."""

__all__: list[str] = []
