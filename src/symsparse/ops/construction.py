"""Matrices made from sizes and diagonals, and triangles of others."""

__all__: list[str] = []
