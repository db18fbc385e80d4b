"""To and from dense; construction."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

case("dense_from_sparse", ss.dense_from_sparse, [S()], lambda x: x.dense, structured=(0,))
case(
    "dense_from_sparse_regular", lambda x: x.toarray(structured=False), [S()], lambda x: x.dense, regular=(0,)
)
case("csr_from_dense", ss.csr_from_dense, [D("mn")], lambda d: d)
case("csc_from_dense", ss.csc_from_dense, [D("mn")], lambda d: d)
case("csr_from_vector", ss.csr_from_dense, [D("n")], lambda d: d[None])
case("square_diagonal", ss.square_diagonal, [D("n")], np.diag)
case("diag", ss.diag, [S()], lambda x: np.diag(x.dense), regular=(0,))
case(
    "construct_sparse_from_list",
    lambda x, rows, places: ss.construct_sparse_from_list(x, rows, places),
    [D("mn"), D("kn"), D("k", dtype="int64")],
    lambda x, rows, places: (np.arange(x.shape[0])[:, None] == places) @ rows,
)
case("sp_ones_like", ss.sp_ones_like, [S()], lambda x: x.stored * 1.0)
case("sp_zeros_like", ss.sp_zeros_like, [S()], lambda x: x.dense * 0, gradient=False)
case("sample_dense", ss.sample, [D("mn"), S()], lambda g, x: g * x.stored)
case("sample_sparse", ss.sample, [S(), S()], lambda g, x: g.dense * x.stored)
