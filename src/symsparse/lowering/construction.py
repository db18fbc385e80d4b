"""Lowering of matrices made from sizes and diagonals, and triangles of others."""
