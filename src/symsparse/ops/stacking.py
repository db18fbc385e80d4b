"""Matrices made of blocks."""

__all__: list[str] = []
