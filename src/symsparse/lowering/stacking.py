"""Lowering of matrices made of blocks."""
