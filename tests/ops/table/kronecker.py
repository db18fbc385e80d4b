"""Kronecker products."""

import numpy as np

import symsparse as ss
from tests.ops.table.base import D, S, case

case("kron", ss.kron, [S(), S("nk")], lambda x, y: np.kron(x.dense, y.dense), structured=(0, 1))
case("kron_dense", ss.kron, [S(), D("nk")], lambda x, d: np.kron(x.dense, d), structured=(0,))
