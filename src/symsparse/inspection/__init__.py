"""What the compiler knows and what it did, for people: `explain` and `pattern_of`."""

from symsparse.inspection.explanation import Explanation, explain
from symsparse.inspection.patterns import Pattern, pattern_of

__all__ = ["Explanation", "Pattern", "explain", "pattern_of"]
