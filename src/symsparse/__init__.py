"""Symbolic sparse matrices on PyTensor: write sparse mathematics, differentiate it, get one native function back."""

from symsparse import backends, lowering
from symsparse.ops import *
from symsparse.variables import *
