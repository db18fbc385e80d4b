"""Lowering of choosing between entries: maximum and minimum of two matrices, where on stored entries."""
