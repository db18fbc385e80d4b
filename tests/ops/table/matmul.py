"""Products."""

import symsparse as ss
from tests.ops.table.base import D, S, case

for name in ("dot", "structured_dot"):
    build = getattr(ss, name)
    kind = {"regular": (0,)} if name == "dot" else {"structured": (0,)}
    left_kind = {"regular": (1,)} if name == "dot" else {"structured": (1,)}
    both = {"regular": (0, 1)} if name == "dot" else {"structured": (0, 1)}
    case(f"{name}_matrix", build, [S(), D("nk")], lambda x, y: x.dense @ y, **kind)
    case(f"{name}_vector", build, [S(), D("n")], lambda x, y: x.dense @ y, **kind)
    case(f"{name}_matrix_left", build, [D("km"), S()], lambda y, x: y @ x.dense, **left_kind)
    case(f"{name}_vector_left", build, [D("m"), S()], lambda y, x: y @ x.dense, **left_kind)
    case(f"{name}_sparse", build, [S(), S("nk")], lambda x, y: x.dense @ y.dense, **both)
case("true_dot_matrix", ss.true_dot, [S(), D("nk")], lambda x, y: x.dense @ y)
case("true_dot_matrix_left", ss.true_dot, [D("km"), S()], lambda y, x: y @ x.dense)
case("true_dot_sparse", ss.true_dot, [S(), S("nk")], lambda x, y: x.dense @ y.dense)
case(
    "true_dot_sparse_gradient",
    lambda x, y: ss.true_dot(x, y, grad_preserves_dense=False),
    [S(), D("nk")],
    lambda x, y: x.dense @ y,
)
case(
    "sampling_dot",
    ss.sampling_dot,
    [D("mk"), D("nk"), S()],
    lambda x, y, p: p.dense * (x @ y.T),
    structured=(2,),
)
case("usmm", ss.usmm, [D(""), S(), D("nk"), D("mk")], lambda a, x, y, z: a * x.dense @ y + z, structured=(1,))
case(
    "usmm_left",
    ss.usmm,
    [D(""), D("km"), S(), D("kn")],
    lambda a, x, y, z: a * x @ y.dense + z,
    structured=(2,),
)
case("usmm_sparse", ss.usmm, [D(""), S(), S("nk"), D("mk")], lambda a, x, y, z: a * x.dense @ y.dense + z)
case(
    "structured_dot_grad",
    ss.structured_dot_grad,
    [S(), D("nk"), D("mk")],
    lambda x, b, g: (g @ b.T) * x.stored,
)
