"""Algebra on sparse ops, before they are lowered."""

from symsparse.rewrites import (
    basic,
    chains,
    densification,
    formats,
    gathers,
    products,
    samples,
    transposed,
    usmm,
)
