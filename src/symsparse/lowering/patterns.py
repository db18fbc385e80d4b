"""Facts about patterns: which index vectors surely hold the same, which are sorted and without duplicates."""

import functools
import itertools
import weakref
from typing import Any

import numpy as np
import pytensor.tensor as pt
from pytensor.graph.basic import Apply, Constant
from pytensor.graph.op import Op
from pytensor.tensor.basic import ARange, Join, MakeVector
from pytensor.tensor.shape import Shape_i
from pytensor.tensor.type import TensorType
from pytensor.tensor.utils import hash_from_ndarray

from symsparse.lowering.base import KernelOp, guard, known, memory_of, unchecked
from symsparse.ops.base import equal
from symsparse.ops.csm import CSMProperties


def pattern_key(*pattern):
    """A hashable that is equal for index vectors which surely hold the same, before equal nodes are merged."""
    return tuple(_key(v) for v in pattern)


class _Key:
    """What all variables of equal structure have in common, as long as one of them lives."""

    __slots__ = ("__weakref__",)


# Each variable is looked at once, however many paths lead to it; a rewrite replaces what it stands on by equals only,
# so its key stays right.
_keys: Any = weakref.WeakKeyDictionary()
_structures: Any = weakref.WeakValueDictionary()


def _key(v):
    v = unchecked(v)
    found = _keys.get(v)
    if found is None:
        owner, found = v.owner, _Key()
        if isinstance(v, Constant) and isinstance(v.data, np.ndarray):
            found = _structures.setdefault((v.type, hash_from_ndarray(v.data)), found)
        elif owner is not None and isinstance(
            owner.op, KernelOp | CSMProperties | HasCanonicalFormat | Shape_i | Join | MakeVector
        ):
            found = _structures.setdefault((owner.op, v.index, *map(_key, owner.inputs)), found)
        _keys[v] = found  # another variable is equal to itself alone
    return found


class HasCanonicalFormat(Op):
    """Whether a sparse leaf is stored canonically: a fact that the value carries."""

    __props__ = ()

    def make_node(self, x):
        return Apply(self, [x], [TensorType("bool", ())()])

    def perform(self, node, inputs, outputs):
        outputs[0][0] = np.asarray(bool(inputs[0].has_canonical_format))

    def infer_shape(self, node, shapes):
        return [()]


def canonical_fact(indices, indptr):
    """True if the pattern is surely canonical; otherwise a symbolic bool (constant where it is known)."""
    if isinstance(indices, Constant) and len(indices.data) == 0:
        return True
    if isinstance(indices, Constant) and isinstance(indptr, Constant):
        memory = memory_of(indices)
        found = memory.get("canonical")
        if found is None or found[0] is not indptr:
            from symsparse.kernels.layout import is_canonical

            found = memory["canonical"] = (indptr, bool(is_canonical(indices.data, indptr.data)))
        return True if found[1] else pt.constant(False)
    indices, indptr = unchecked(indices), unchecked(indptr)
    owner = indices.owner
    if owner is not None and _counts_up(owner):
        return True
    if owner is not None and owner is indptr.owner and (indices.index, indptr.index) in ((0, 1), (1, 2)):
        op = owner.op
        if isinstance(op, CSMProperties):
            return HasCanonicalFormat()(owner.inputs[0])
        said = getattr(op, "canonical", False)
        if said is True:
            return True
        if said == "as input" or (said == "as checked" and comes_from_a_matrix(*owner.inputs[:2])):
            return canonical_fact(*owner.inputs[:2])
        if said == "as input after values":
            return canonical_fact(*owner.inputs[1:3])
        joins = [unchecked(v).owner for v in owner.inputs[:2]]
        if said == "as blocks" and all(j is not None and isinstance(j.op, Join) for j in joins):
            blocks = zip(*(j.inputs for j in joins), strict=True)
            unsure = [fact for fact in itertools.starmap(canonical_fact, blocks) if fact is not True]
            return functools.reduce(pt.and_, unsure) if unsure else True
    from symsparse.lowering.layout import IsCanonical

    return IsCanonical()(indices, indptr)


def comes_from_a_matrix(indices, indptr):
    """Whether two index vectors are a pattern that was checked already."""
    indices, indptr = unchecked(indices), unchecked(indptr)
    owner = indices.owner
    return owner is not None and owner is indptr.owner and isinstance(owner.op, KernelOp | CSMProperties)


def _counts_up(owner):
    """Whether a node makes 0, 1, 2, ...: as indices of any pattern these are sorted, and all different."""
    return isinstance(owner.op, ARange) and all(
        known(v) == n for v, n in zip(owner.inputs[::2], (0, 1), strict=True)
    )


def sorted_fact(indices, indptr):
    """Whether each slice of a pattern is surely sorted."""
    if canonical_fact(indices, indptr) is True:
        return True
    return getattr(getattr(unchecked(indices).owner, "op", None), "sorts", False)


def surely_equal(n, m):
    """Whether two symbolic sizes are known to be equal."""
    if isinstance(n, Constant) and isinstance(m, Constant):
        return n.data == m.data
    return _key(n) == _key(m)


def require_same_shape(op, x, y):
    """`y` with a run-time check that its shape is that of `x`."""
    checks = [
        equal(n, m, f"{op}: the shapes of the sparse matrices differ: %d and %d {what}")
        for n, m, what in zip(x.sizes, y.sizes, ("rows", "columns"), strict=True)
        if not surely_equal(n, m)
    ]
    return guard(y, *checks)
