"""Random corruptions of sparse matrices and of what selects from them: each is refused, or computed right.

    python -m tests.fuzzing --rounds 1000 --seed 1 --mode lowered

A program of its own, so that a death of the process is something that a test can see. With NUMBA_BOUNDSCHECK=1 in the
environment each read of a kernel is checked, too. It prints what happened as JSON.
"""

import argparse
import collections
import json
import re
import resource
import warnings

import numpy as np
import pytensor
import pytensor.tensor as pt
import scipy.sparse as sp
from numba.core import config

import symsparse as ss
from symsparse.testing import random_sparse, reference_mode
from tests.ops.generate import lowered_mode

MODES = {"lowered": lowered_mode, "reference": reference_mode, "numba": "NUMBA"}
REFUSALS = (TypeError, ValueError, IndexError, OverflowError, MemoryError)
# One of them is in each message that says what is wrong.
WORDS = re.compile(
    "[Mm]alformed|SparseTensorType|shape|size|index_dtype|getitem|two dimensions|number of|negative|multinomial|inner"
    "|out of bounds|outside|do not pair|do not fit|differ|not aligned|dtype"
)
# What Numba's checks of bounds raise (and PyTensor's v[0] of nothing: no graph below has such a thing).
OUT_OF_BOUNDS = "index is out of bounds"
CHECKED = bool(config.BOUNDSCHECK)
EXTREME = (
    -(2**63),
    -(2**31),
    -(2**31) - 1,
    -7,
    -1,
    0,
    1,
    2,
    3,
    7,
    2**31 - 1,
    2**31,
    2**32,
    2**32 + 1,
    2**62,
    2**63 - 1,
)


def any_matrix(rng):
    """Arrays (data, indices, indptr) and shape of a legal matrix."""
    shape = tuple(int(n) for n in rng.integers(0, 6, 2))
    A = random_sparse(
        "csr",
        shape,
        rng.choice([0.0, 0.4, 1.0]),
        unsorted_indices=bool(rng.integers(2)),
        duplicates=bool(rng.integers(2)),
        rng=rng,
    )
    return {"data": A.data, "indices": A.indices, "indptr": A.indptr, "shape": shape}


def corrupted(parts, rng):
    """The same with one thing changed; it may still be legal."""
    parts = dict(parts)
    what = str(rng.choice(["data", "indices", "indptr", "indices", "indptr", "shape"]))
    if what == "shape":
        shape = list(parts["shape"])
        axis = rng.integers(2)
        shape[axis] = (
            int(rng.choice(EXTREME)) if rng.random() < 0.5 else shape[axis] + int(rng.integers(-2, 3))
        )
        return parts | {"shape": tuple(shape)}
    a = parts[what]
    if a.ndim != 1 or a.dtype.kind not in "iuf":
        return parts
    change = str(
        rng.choice(["element", "element", "shorter", "longer", "dtype", "layout", "rank", "shuffled"])
    )
    if change == "element" and len(a):
        near = int(np.nan_to_num(a[rng.integers(len(a))])) + int(rng.integers(-2, 3))
        value = rng.choice(EXTREME) if rng.random() < 0.5 else np.int64(min(max(near, -(2**63)), 2**63 - 1))
        wide = what != "data" and abs(int(value)) >= 2**31
        a = a.astype("int64") if wide else a.copy()
        a[rng.integers(len(a))] = value
    elif change == "shorter":
        a = a[: rng.integers(len(a) + 1)]
    elif change == "longer":
        a = np.append(a, rng.integers(-1, 7, rng.integers(1, 4)).astype(a.dtype))
    elif change == "dtype":
        dtypes = (
            "float64 float32 bool object int8 uint8 uint32 uint64 int64 >i4 >f8 complex128 M8[s] U3".split()
        )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            a = a.astype(str(rng.choice(dtypes)))
    elif change == "layout":
        kind = rng.integers(3)
        if kind == 0:
            a = np.repeat(a, 2)[::2]
        elif kind == 1:
            a = a.copy()
            a.flags.writeable = False
        else:
            a = np.frombuffer(b"\0" + a.tobytes(), "uint8")[1:].view(a.dtype)
    elif change == "rank":
        a = a[:, None] if rng.random() < 0.5 else a.reshape(-1)[:1].reshape(()) if len(a) else a[None]
    elif change == "shuffled":
        a = a[rng.permutation(len(a))]
    return parts | {what: a}


def legal(parts, format):
    """Whether these are the parts of a matrix of floats: the definition, by plain loops.

    None: it may be refused (slack behind the last entry, complex numbers for an input of real ones).
    """
    data, indices, indptr = (parts[k] for k in ("data", "indices", "indptr"))
    n_major, n_minor = parts["shape"] if format == "csr" else parts["shape"][::-1]
    if any(a.ndim != 1 for a in (data, indices, indptr)) or n_major < 0 or n_minor < 0:
        return False
    if any(a.dtype.kind not in "iu" for a in (indices, indptr)) or data.dtype.kind not in "fiubc":
        return False
    if len(indptr) != n_major + 1 or indptr[0] != 0 or max(n_major, n_minor) >= 2**63:
        return False
    if any(int(indptr[i + 1]) < int(indptr[i]) for i in range(n_major)):
        return False
    nnz = int(indptr[-1])
    if nnz > min(len(data), len(indices)):
        return False
    if not all(0 <= int(i) < n_minor for i in indices[:nnz]):
        return False
    return True if nnz == len(data) == len(indices) and data.dtype.kind in "fiu" else None


def bare(parts, format):
    """A SciPy matrix of these parts that SciPy has not looked at."""
    A = (sp.csr_array if format == "csr" else sp.csc_array)((1, 1))
    A.data, A.indices, A.indptr, A._shape = (parts[k] for k in ("data", "indices", "indptr", "shape"))
    return A


def dense(parts, format):
    """The dense matrix, added up entry by entry; None if it is too large to be looked at."""
    shape = parts["shape"]
    if max(shape) > 1000 or parts["data"].dtype.kind not in "fiu":
        return None
    out = np.zeros(shape if format == "csr" else shape[::-1])
    indptr = parts["indptr"]
    for r in range(len(indptr) - 1):
        for k in range(int(indptr[r]), int(indptr[r + 1])):
            out[r, int(parts["indices"][k])] += parts["data"][k]
    return out if format == "csr" else out.T


def results(x, mode):
    """A bit of everything that a kernel does with a matrix."""
    format = x.format
    ones = pt.ones(x.shape[1])
    return {
        "product": x @ ones,
        "wide": x @ pt.ones((x.shape[1], 3)),
        "other": x.T @ pt.ones(x.shape[0]),
        "rows": ss.sp_sum(x, axis=1),
        "columns": ss.sp_sum(x, axis=0),
        "sampled": ss.csm_data(ss.sample(pt.ones(x.shape), x)).sum(),
        "twice": ss.sp_sum(x + x.asformat("csc" if format == "csr" else "csr"), axis=1),
        "squared": ss.sp_sum(x * x.T.T, axis=0),
        "gram": ss.sp_sum(ss.structured_dot(x, x.T), axis=1),
        "stacked": ss.sp_sum(ss.vstack([x, x], format=format), axis=0),
        "beside": ss.sp_sum(ss.hstack([x, x], format=format), axis=1),
        "largest": ss.sp_sum(ss.clean(x), axis=1),
    }


def expected(D):
    """The same of a dense matrix."""
    return {
        "product": D.sum(1),
        "wide": np.repeat(D.sum(1)[:, None], 3, 1),
        "other": D.sum(0),
        "rows": D.sum(1),
        "columns": D.sum(0),
        "twice": 2 * D.sum(1),
        "squared": (D * D).sum(0),
        "gram": (D @ D.T).sum(1),
        "stacked": 2 * D.sum(0),
        "beside": 2 * D.sum(1),
        "largest": D.sum(1),
    }


class Fuzzer:
    """Functions that were compiled once, and what came of their calls."""

    def __init__(self, mode, rng):
        self.rng, self.count, self.wrong = rng, collections.Counter(), []
        self.mode = MODES[mode]
        self.results, self.run, self.built = {}, {}, {}
        vectors = pt.dvector("data"), pt.lvector("indices"), pt.lvector("indptr"), pt.lvector("shape")
        for format in ("csr", "csc"):
            x = ss.matrix(format, "x", dtype="float64")
            self.results[format] = results(x, mode)
            self.run[format] = self.compiled([x], list(self.results[format].values()))
            made = results(ss.CSM(format)(*vectors), mode)
            self.built[format] = self.compiled(vectors, list(made.values()))
        more = pt.dvector(), pt.lvector(), pt.lvector(), pt.lvector()
        self.csm_grad = self.compiled([*vectors, *more], ss.csm_grad(*vectors, *more))
        b, g = pt.dmatrix("b"), pt.dmatrix("g")
        self.dot_grads = [
            self.compiled([*vectors[1:3], b, g], op()(*vectors[1:3], b, g))
            for op in (ss.StructuredDotGradCSR, ss.StructuredDotGradCSC)
        ]
        self.compile_selections()

    def compiled(self, inputs, outputs):
        with pytensor.config.change_flags(on_opt_error="raise"):
            return pytensor.function(inputs, outputs, mode=self.mode, on_unused_input="ignore")

    def compile_selections(self):
        x, y = ss.csr_matrix("x", dtype="float64"), ss.csc_matrix("y", dtype="float64")
        i, j, k = pt.lvector("i"), pt.lvector("j"), pt.lscalar("k")
        v = pt.dvector("v")
        # PyTensor folds pt.random.default_rng into a constant, which Numba does not take.
        rng = pytensor.shared(np.random.default_rng(1))
        self.selections = {
            "rows": lambda D, E, i, j, k, v: D[i].sum(1),
            "columns": lambda D, E, i, j, k, v: D[:, i].sum(0),
            "pairs": lambda D, E, i, j, k, v: D[i, j],
            "slice": lambda D, E, i, j, k, v: D[k : k + 3].sum(1),
            "steps": lambda D, E, i, j, k, v: D[::-2, k:].sum(1),
            "row": lambda D, E, i, j, k, v: D[k],
            "set": lambda D, E, i, j, k, v: _set(D, i, v[:1].sum()).sum(1),
            "values": lambda D, E, i, j, k, v: None,
            "sum": lambda D, E, i, j, k, v: (D + E).sum(1),
            "above": lambda D, E, i, j, k, v: np.vstack([D, E]).sum(1),
            "beside": lambda D, E, i, j, k, v: np.hstack([D, E]).sum(1),
            "inner": lambda D, E, i, j, k, v: (D @ E).sum(1),
            "sampled": lambda D, E, i, j, k, v: (
                np.where(D != 0, D @ E, 0).sum(1) if len(E.T) == len(D.T) else 1 / 0
            ),
            "kron": lambda D, E, i, j, k, v: np.kron(D, E).sum(1),
            "scaled": lambda D, E, i, j, k, v: (D * v).sum(1),
            "poisson": lambda D, E, i, j, k, v: None,
            "multinomial": lambda D, E, i, j, k, v: None,
        }
        outputs = {
            "rows": ss.sp_sum(x[i], axis=1),
            "columns": ss.sp_sum(x[:, i], axis=0),
            "pairs": x[i, j],
            "slice": ss.sp_sum(x[k : k + 3], axis=1),
            "steps": ss.sp_sum(x[::-2, k:], axis=1),
            "row": x[k],
            "set": ss.sp_sum(ss.set_subtensor(x[i], v[:1].sum()), axis=1),
            "values": x.with_values(v) @ pt.ones(x.shape[1]),
            "sum": ss.sp_sum(x + y, axis=1),
            "above": ss.sp_sum(ss.vstack([x, y]), axis=1),
            "beside": ss.sp_sum(ss.hstack([x, y]), axis=1),
            "inner": ss.sp_sum(ss.structured_dot(x, y), axis=1),
            "sampled": ss.sp_sum(ss.sample(ss.structured_dot(x, y), x), axis=1),
            "kron": ss.sp_sum(ss.kron(x, y), axis=1),
            "scaled": ss.sp_sum(ss.col_scale(x, v), axis=1),
            "poisson": ss.sp_sum(ss.poisson(x, rng=rng)),
            "multinomial": ss.sp_sum(ss.multinomial(i, x, rng=rng)),
        }
        self.select = {name: self.compiled([x, y, i, j, k, v], out) for name, out in outputs.items()}

    def attempt(self, door, call, right=None, must_fail=False, shown="", may_fail=False):
        """Call, count, and note what is wrong: another exception, a result that differs, none where there must be."""
        try:
            with np.errstate(all="ignore"):
                got = call()
        except REFUSALS as e:
            kind = next(c.__name__ for c in type(e).__mro__ if c.__module__ == "builtins")
            self.count[f"{door}: {kind}"] += 1
            if CHECKED and OUT_OF_BOUNDS in str(e):
                self.wrong.append(f"{door}: a read out of bounds, {shown}")
            elif right is not None and not may_fail:
                self.wrong.append(f"{door}: legal input refused: {e!r}, {shown}")
            elif kind != "MemoryError" and not WORDS.search(str(e)):
                self.wrong.append(f"{door}: does not say what is wrong: {e!r}, {shown}")
            return
        except Exception as e:
            self.wrong.append(f"{door}: {e!r}, {shown}")
            return
        self.count[f"{door}: result"] += 1
        if must_fail:
            self.wrong.append(f"{door}: accepted {shown}")
        elif right is not None:
            for a, b in zip(got, right, strict=True):
                if b is not None and not np.allclose(a, b, equal_nan=True):
                    self.wrong.append(f"{door}: {a} instead of {b}, {shown}")
                    return

    def matrices(self):
        """One corrupted matrix, through each door."""
        rng = self.rng
        parts = any_matrix(rng)
        for _ in range(rng.integers(1, 4)):
            parts = corrupted(parts, rng)
        format = str(rng.choice(["csr", "csc"]))
        if format == "csc":
            parts["shape"] = parts["shape"][::-1]
        fits = legal(parts, format)
        if fits is not False and max(parts["shape"]) > 10_000:
            return  # legal, and its vectors would fill the memory
        shown = f"{format} " + " ".join(f"{k}={v!r}" for k, v in parts.items())
        D = dense(parts, format) if fits is not False else None
        want = None if D is None else [expected(D).get(name) for name in self.results[format]]
        self.attempt(
            "input", lambda: self.run[format](bare(parts, format)), want, fits is False, shown, fits is None
        )
        other = "csc" if format == "csr" else "csr"  # SciPy converts
        self.attempt(
            "crossed", lambda: self.run[other](bare(parts, format)), want, fits is False, shown, fits is None
        )
        index_like = all(parts[k].ndim == 1 and parts[k].dtype.kind in "iu" for k in ("indices", "indptr"))
        index_like &= max(map(abs, parts["shape"])) < 2**63
        if index_like and parts["data"].ndim == 1 and parts["data"].dtype == "float64":
            data = np.require(parts["data"], requirements="A")  # PyTensor's dense inputs are aligned
            vectors = [data, *(wrapped(parts[k]) for k in ("indices", "indptr"))]
            shape = np.array(parts["shape"], dtype="int64")
            built = self.built[format]
            self.attempt(
                "CSM", lambda: built(*vectors, shape), want if fits else None, fits is not True, shown
            )
        check = None if D is None else [D]
        for name, make in self.makers(format).items():
            self.attempt(
                name,
                lambda make=make: [make(bare(parts, format)).toarray()],
                check,
                fits is False,
                shown,
                fits is None,
            )
        self.raw(parts)

    def makers(self, format):
        def reset(A):
            s = ss.shared(
                random_sparse(format, A.shape if min(A.shape) >= 0 and max(A.shape) < 99 else (2, 3)),
                shape=(None, None),
            )
            s.set_value(A)
            return s.get_value()

        return {
            "constant": lambda A: ss.constant(A).data,
            "shared": lambda A: ss.shared(A).get_value(),
            "set_value": reset,
            "frozen": lambda A: ss.shared(A, frozen=True).get_value(),
        }

    def raw(self, parts):
        """Ops that take vectors and have no matrix to look at."""
        rng = self.rng
        if any(parts[k].ndim != 1 or parts[k].dtype.kind not in "iu" for k in ("indices", "indptr")):
            return
        if (
            parts["data"].ndim != 1
            or parts["data"].dtype != "float64"
            or max(map(abs, parts["shape"])) > 10_000
        ):
            return
        vectors = [
            parts["data"],
            *(wrapped(parts[k]) for k in ("indices", "indptr")),
            np.array(parts["shape"], "int64"),
        ]
        other = any_matrix(rng)
        others = [
            other["data"],
            *(other[k].astype("int64") for k in ("indices", "indptr")),
            np.array(other["shape"], "int64"),
        ]
        both = [(vectors, others), (others, vectors), (vectors, vectors)][rng.integers(3)]
        self.attempt("csm_grad", lambda: self.csm_grad(*both[0], *both[1]), shown=f"{both}")
        n, m = (max(0, s) for s in parts["shape"])
        b, g = rng.normal(size=(m, 2)), rng.normal(size=(n, 2))
        for f in self.dot_grads:
            self.attempt("dot_grad", lambda f=f: f(vectors[1], vectors[2], b, g), shown=f"{vectors}")

    def selection(self):
        """Legal matrices, and indices, vectors and other matrices that may not fit them."""
        rng = self.rng
        A, B = (any_matrix(rng) for _ in range(2))
        x, y = bare(A, "csr"), bare(B | {"shape": B["shape"][::-1]}, "csc")
        D, E = dense(A, "csr"), dense(B | {"shape": B["shape"][::-1]}, "csc")

        def indices(n, size):
            i = rng.integers(-n, n, size) if n else rng.integers(-1, 1, size)
            if size and rng.random() < 0.4:
                i[rng.integers(size)] = rng.choice(EXTREME)
            return i

        size = int(rng.integers(0, 4))
        i = indices(D.shape[0], size)
        j = indices(D.shape[1], size if rng.random() < 0.7 else int(rng.integers(0, 4)))
        k = int(rng.choice(EXTREME)) if rng.random() < 0.3 else int(rng.integers(-6, 7))
        v = rng.normal(size=int(rng.choice([D.shape[1], x.nnz, 1, 2])))
        for name, f in self.select.items():
            want = None
            must_fail = False
            try:
                want = self.selections[name](D, E, i, j, k, v)
                want = None if want is None else [want]
            except Exception:
                must_fail = not name.startswith("columns")
            if len(i) != len(j) and name == "pairs":  # NumPy broadcasts
                want, must_fail = None, False
            if name == "sum" and D.shape != E.shape:
                want, must_fail = None, True
            if name == "scaled" and len(v) != D.shape[1]:
                want, must_fail = None, True
            if name == "values":
                must_fail = len(v) != x.nnz
            shown = f"{name} {D.shape} {E.shape} i={i!r} j={j!r} k={k} v={len(v)}"
            self.attempt(f"selection {name}", lambda f=f: [f(x, y, i, j, k, v)], want, must_fail, shown)


def _set(D, i, v):
    D = D.copy()
    D[i] = v
    return D


def wrapped(a):
    """As int64, as a cast in a graph would do it."""
    return a.astype("int64")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--mode", choices=MODES, default="lowered")
    arguments = parser.parse_args()
    resource.setrlimit(resource.RLIMIT_AS, (8 << 30, 8 << 30))  # what is too large for that raises, in time
    fuzzer = Fuzzer(arguments.mode, np.random.default_rng(arguments.seed))
    for _ in range(arguments.rounds):
        fuzzer.matrices()
        fuzzer.selection()
    each_once = {re.sub(r"[^a-zA-Z_:]+|dtype.*", " ", text)[:60]: text for text in reversed(fuzzer.wrong)}
    print(
        json.dumps(
            {
                "wrong": list(each_once.values())[:20],
                "n_wrong": len(fuzzer.wrong),
                "count": dict(fuzzer.count),
            }
        )
    )


if __name__ == "__main__":
    main()
