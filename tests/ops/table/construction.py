"""Matrices made from sizes, diagonals and parts of others."""
