"""Choosing between entries."""
