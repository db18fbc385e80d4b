"""Lowering of random draws with an explicit generator."""
