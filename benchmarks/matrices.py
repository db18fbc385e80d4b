"""The matrices, made from seeds and kept in a folder for all contenders."""

import os
from pathlib import Path

import numpy as np
import scipy.sparse as sp


def folder() -> Path:
    return Path(os.environ.get("SYMSPARSE_BENCH_CACHE", Path(__file__).parents[1] / ".cache" / "bench"))


def uniform(m, n, per_row, seed):
    """Rows of `per_row` entries on average, anywhere."""
    rng = np.random.default_rng(seed)
    lengths = rng.binomial(n, per_row / n, m)
    columns = [np.sort(rng.choice(n, length, replace=False, shuffle=False)) for length in lengths]
    return csr(np.concatenate(columns), lengths, rng, (m, n))


def bag_of_words(m, n, per_row, seed):
    """Documents of uneven length whose words follow Zipf's law; the frequent words are anywhere."""
    rng = np.random.default_rng(seed)
    weights = np.cumsum(1 / np.arange(1, n + 1))
    lengths = rng.lognormal(np.log(per_row) - 0.32, 0.8, m).astype(int).clip(1, n // 2)
    words = rng.permutation(n)[
        np.searchsorted(weights / weights[-1], rng.random(lengths.sum())).clip(0, n - 1)
    ]
    counts = sp.csr_array(
        (np.ones(len(words)), (np.repeat(np.arange(m), lengths), words)), shape=(m, n)
    )  # adds duplicates up
    counts.sort_indices()
    return csr(counts.indices, np.diff(counts.indptr), rng, (m, n))


def csr(indices, lengths, rng, shape):
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
    return sp.csr_array((rng.normal(size=len(indices)), indices.astype(np.int32), indptr), shape=shape)


def laplacian(side):
    """Five-point stencil on a square grid."""
    line = sp.diags_array([-1.0, 2.0, -1.0], offsets=[-1, 0, 1], shape=(side, side))
    return sp.csr_array(sp.kronsum(line, line, format="csr"))


def shifted_stencil(side):
    """A stencil on the same grid that shares its diagonal and the rows above and below with `laplacian`."""
    n = side * side
    return sp.csr_array(
        sp.diags_array([1.0, 2.0, 3.0, 4.0, 5.0], offsets=[-side, -2, 0, 2, side], shape=(n, n))
    )


# name: (what it is, how it is made)
MATRICES = {
    "a": ("uniform, 60,000 x 50,000, 50 a row", lambda: uniform(60_000, 50_000, 50, 0)),
    "a2": ("another like a", lambda: uniform(60_000, 50_000, 50, 10)),
    "b": ("Zipf bag of words, 25,000 x 50,000", lambda: bag_of_words(25_000, 50_000, 200, 1)),
    "b2": ("another like b", lambda: bag_of_words(25_000, 50_000, 200, 11)),
    "c": ("five-point Laplacian, 360,000 rows", lambda: laplacian(600)),
    "c2": ("another stencil on the grid of c", lambda: shifted_stencil(600)),
    "d": ("uniform, 1,000 x 1,000, 10 a row", lambda: uniform(1000, 1000, 10, 2)),
    "d2": ("another like d", lambda: uniform(1000, 1000, 10, 12)),
    "e": ("uniform, 10 x 10, 3 a row", lambda: uniform(10, 10, 3, 3)),
    "e2": ("another like e", lambda: uniform(10, 10, 3, 13)),
    "ga": ("uniform, 50,000 x 50,000, 10 a row", lambda: uniform(50_000, 50_000, 10, 4)),
    "gb": ("Zipf bag of words, 8,000 x 10,000", lambda: bag_of_words(8_000, 10_000, 60, 5)),
    "m": ("Zipf bag of words, 20,000 x 20,000", lambda: bag_of_words(20_000, 20_000, 60, 7)),
}


def load(name, dtype="float64"):
    """Sorted csr, int32 indices; read from disk if it was made before."""
    path = folder() / "matrices" / f"{name}.npz"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        made = path.with_suffix(f".{os.getpid()}.npz")
        sp.save_npz(made, MATRICES[name][1](), compressed=False)
        made.replace(path)
    A = sp.csr_array(sp.load_npz(path))
    A.sort_indices()
    return sp.csr_array((A.data.astype(dtype), A.indices.astype("i4"), A.indptr.astype("i4")), shape=A.shape)
