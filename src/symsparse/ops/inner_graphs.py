"""PyTensor's own ops that meet sparse variables: those with inner graphs or branches, and the clipping of gradients.

They assume dense variables where they make zeros, accumulators or cotangents. Their derivatives are extended for sparse
variables only.
"""

import dataclasses

import pytensor.tensor as pt
from pytensor.compile import builders
from pytensor.compile.builders import OpFromGraph
from pytensor.conditional.op import IfElse, ifelse
from pytensor.gradient import GradClip, disconnected_type
from pytensor.graph.replace import clone_replace
from pytensor.graph.traversal import applys_between
from pytensor.scan.op import Scan

from symsparse.ops.base import error, is_disconnected, is_sparse, sampled
from symsparse.ops.conversion import csc_from_dense, csr_from_dense
from symsparse.ops.csm import CSM, CSMProperties, replaced_values, sampled_values, shape_vector
from symsparse.ops.derivatives import pushforward
from symsparse.ops.layout import sum_duplicates
from symsparse.ops.selection import SparseGradRows
from symsparse.types import continuous_dtypes


def _as_type_of(x, g):
    """The cotangent `g` of `x` in x's own format: an inner graph knows its cotangents by their types alone."""
    if not is_sparse(x) or is_disconnected(g):
        return g
    if not is_sparse(g):
        g = (csr_from_dense if x.format == "csr" else csc_from_dense)(g)
    g = g.asformat(x.format)
    return g.astype(x.dtype) if x.dtype in continuous_dtypes else g


def _op_from_graph_pullback(original, self, inputs, outputs, cotangents):
    return original(
        self, inputs, outputs, [_as_type_of(x, g) for x, g in zip(outputs, cotangents, strict=True)]
    )


def _pushforward_of_types(original, self, inputs, outputs, tangents):
    """Tangents of sparse inputs have to be of the inputs' types, zeros where there are none."""
    typed = [
        x.zeros_like() if is_sparse(x) and is_disconnected(t) else _as_type_of(x, t)
        for x, t in zip(inputs, tangents, strict=True)
    ]
    return original(self, inputs, outputs, typed)


def _if_else_pullback(original, self, inputs, outputs, cotangents):
    if not any(map(is_sparse, (*outputs, *cotangents))):
        return original(self, inputs, outputs, cotangents)
    condition = inputs[0]
    found: dict[bool, list] = {True: [], False: []}
    for g in cotangents:
        for branch in (True, False):
            if is_disconnected(g):
                found[branch].append(disconnected_type())
                continue
            zero = g.zeros_like() if is_sparse(g) else pt.zeros_like(g)
            found[branch].append(ifelse(condition, g, zero) if branch else ifelse(condition, zero, g))
    return [condition.zeros_like(dtype="float64"), *found[True], *found[False]]


def _grad_clip_pullback(original, self, inputs, outputs, cotangents):
    (x,), (g,) = inputs, cotangents
    if not is_sparse(g):
        return original(self, inputs, outputs, cotangents)
    g = sampled(g, x)
    return [replaced_values(g, pt.clip(g.values, self.clip_lower_bound, self.clip_upper_bound))]


# -- loops ------------------------------------------------------------------------------------------------------
# A loop takes a sparse matrix as a non-sequence, whole, in every step. Scan's derivatives stack an accumulator for
# each non-sequence, which no sparse matrix can be. So before one is taken, the loop is written anew with the parts of
# each sparse non-sequence in its place: its values are a dense vector, and the rest is integers.


def _scan_make_node(original, self, *inputs):
    info = self.info
    n_stacked = info.n_mit_mot_outs + info.n_mit_sot + info.n_sit_sot + info.n_nit_sot
    states = (*self.outer_mitmot(inputs), *self.outer_mitsot(inputs), *self.outer_sitsot(inputs))
    for x in (*self.outer_seqs(inputs), *states, *self.fgraph.outputs[:n_stacked]):
        if is_sparse(x):
            raise error(
                "scan",
                [x],
                "a loop slices and stacks dense tensors only, so a sparse matrix cannot be a sequence, a state or a "
                "result of its steps",
                "Let it carry or return x.values, and build the matrix in the loop or behind it with CSR or CSC. What "
                "is the same in all steps is a non-sequence, and may be sparse.",
            )
    return original(self, *inputs)


def _by_parts(scan, inputs):
    """A loop that does the same with the parts of its sparse non-sequences: its op and inputs.

    And with plain ``m[index]`` for ``sparse_grad(m[index])``: a loop adds up dense cotangents only.
    """
    outer, graph = scan.outer_non_seqs(inputs), scan.fgraph.unfreeze()
    plain = {
        node.outputs[0]: node.inputs[0][node.inputs[1]]
        for node in graph.apply_nodes
        if isinstance(node.op, SparseGradRows)
    }
    results = clone_replace(list(graph.outputs), plain)
    inner = scan.inner_non_seqs(list(graph.inputs))
    new_outer, new_inner, replace = [], [], {}
    for x, inner_x in zip(outer, inner, strict=True):
        if not is_sparse(x):
            new_outer.append(x)
            new_inner.append(inner_x)
            continue
        # The check of a pattern, if it has one, stays outside: CSMProperties is behind it.
        new_outer.extend(CSMProperties()(x))
        parts = [p.type() for p in new_outer[-4:]]
        *_, shape = parts
        sizes = (
            shape[i] if n is None else pt.constant(n, dtype="int64") for i, n in enumerate(inner_x.type.shape)
        )
        replace[inner_x] = CSM(x.format, trusted=True)(*parts[:3], shape_vector(*sizes))
        new_inner.extend(parts)
    op = Scan(
        [*graph.inputs[: len(graph.inputs) - len(inner)], *new_inner],
        clone_replace(results, replace),
        dataclasses.replace(scan.info, n_non_seqs=len(new_inner)),
        mode=scan.mode,
        truncate_gradient=scan.truncate_gradient,
        name=scan.name,
        profile=scan.profile,
        allow_gc=scan.allow_gc,
        strict=scan.strict,
    )
    return op, [*inputs[: len(inputs) - len(outer)], *new_outer]


def _back_to_loop(found, node, outputs, cotangents):
    """Derivatives found for `node`, in terms of the outputs of the loop that it was made of: that loop runs once."""
    own = dict(zip(node.outputs, outputs, strict=True))
    for step in applys_between([*node.inputs, *node.outputs, *outputs, *cotangents], found):
        if any(v in own for v in step.inputs):  # made a moment ago, and nobody else's
            step.inputs = [own.get(v, v) for v in step.inputs]
    return [own.get(v, v) for v in found]


def _is_dense(scan, outer):
    """Whether a loop is one that PyTensor can differentiate."""
    rows = any(isinstance(node.op, SparseGradRows) for node in scan.fgraph.apply_nodes)
    return not rows and not any(map(is_sparse, outer))


def _scan_pullback(original, self, inputs, outputs, cotangents):
    outer = self.outer_non_seqs(inputs)
    if _is_dense(self, outer):
        return original(self, inputs, outputs, cotangents)
    op, new_inputs = _by_parts(self, inputs)
    node = op.make_node(*new_inputs)
    found = _back_to_loop(op.pullback(node.inputs, node.outputs, cotangents), node, outputs, cotangents)
    gradients, rest = found[: len(inputs) - len(outer)], iter(found[len(inputs) - len(outer) :])
    for x in outer:
        g = next(rest)
        if is_sparse(x):
            for _ in range(3):  # indices, indptr, shape
                next(rest)
            if not is_disconnected(g):
                g = _matrix_of(x, g)
        gradients.append(g)
    return gradients


def _matrix_of(x, g):
    """The cotangent of `x` from `g`, which has for each stored value the cotangent at its position.

    A position that is stored twice has it twice: it counts once.
    """
    total, count = (sum_duplicates(replaced_values(x, v)) for v in (g, pt.ones_like(g)))
    return replaced_values(total, total.values / count.values)


def _scan_pushforward(original, self, inputs, outputs, tangents):
    outer = self.outer_non_seqs(inputs)
    if not any(map(is_sparse, outer)):
        return original(self, inputs, outputs, tangents)
    op, new_inputs = _by_parts(self, inputs)
    node = op.make_node(*new_inputs)
    new_tangents = list(tangents[: len(inputs) - len(outer)])
    for x, t in zip(outer, tangents[len(inputs) - len(outer) :], strict=True):
        if not is_sparse(x):
            new_tangents.append(t)
            continue
        known = not is_disconnected(t)
        new_tangents.append(sampled_values(t, x) if known else disconnected_type())
        new_tangents.extend(disconnected_type() for _ in range(3))
    return op.pushforward(node.inputs, node.outputs, new_tangents)


def _extend(op, method, rule):
    original = getattr(op, method)
    setattr(op, method, lambda self, *args: rule(original, self, *args))


_extend(OpFromGraph, "pullback", _op_from_graph_pullback)
_extend(OpFromGraph, "pushforward", _pushforward_of_types)
_extend(IfElse, "pullback", _if_else_pullback)
_extend(IfElse, "pushforward", _pushforward_of_types)
_extend(GradClip, "pullback", _grad_clip_pullback)
_extend(Scan, "make_node", _scan_make_node)
_extend(Scan, "pullback", _scan_pullback)
_extend(Scan, "pushforward", _scan_pushforward)
builders.pushforward = pushforward  # of the inner graph of an OpFromGraph
