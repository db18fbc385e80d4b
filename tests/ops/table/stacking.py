"""Matrices made of blocks."""
