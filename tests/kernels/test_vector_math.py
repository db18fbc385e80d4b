"""Elementary functions: within 2 units in the last place of extended precision, at special values, as vector code."""

import numba
import numpy as np
import pytest

from symsparse.kernels.vector_math import FUNCTIONS, FUNCTIONS_32

wide = np.longdouble


def reference_sigmoid(x):
    t = np.exp(-np.abs(x))
    return np.where(x < 0, t, 1) / (1 + t)


def reference_softplus(x):
    return np.where(x < 0, 0, x) + np.log1p(np.exp(-np.abs(x)))


REFERENCES = {
    "exp": np.exp,
    "expm1": np.expm1,
    "log": np.log,
    "log1p": np.log1p,
    "sigmoid": reference_sigmoid,
    "softplus": reference_softplus,
    "tanh": np.tanh,
}
LIMITS = {"exp": 0.9, "expm1": 1.3, "log": 0.9, "log1p": 0.9, "sigmoid": 2.0, "softplus": 1.8, "tanh": 2.0}
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, np.inf, -np.inf, np.nan, 2.0**53, -(2.0**53), 2.0**54, 2.0**55]
EDGES = [709.782712893384, 709.7827128933841, 709.99, -708.4, -745.13, -745.14, -36.7, -37.5, 18.4, 22.0]


def in_a_loop(function):
    @numba.njit(error_model="numpy")
    def loop(x, out):
        for i in range(len(x)):
            out[i] = function(x[i])

    return loop


def sample(dtype):
    rng = np.random.default_rng(3)
    info = np.finfo(dtype)
    sizes = 2.0 ** rng.uniform(np.log2(float(info.smallest_subnormal)), np.log2(float(info.max)), 20_000)
    parts = [sizes, -sizes, 2.0 ** rng.uniform(-60, 12, 10_000), -(2.0 ** rng.uniform(-60, 12, 10_000))]
    parts += [rng.uniform(-scale, scale, 20_000) for scale in (2, 40, 750)]
    parts += [
        1 + rng.uniform(-1e-3, 1e-3, 5_000),
        -1 + np.logspace(-16, -1, 5_000),
        2.0 ** np.arange(-60, 60),
    ]
    x = np.concatenate([*parts, SPECIAL, EDGES]).astype(dtype)
    ends = np.array([info.max, -info.max, info.tiny, -info.tiny, info.smallest_subnormal], dtype)
    return np.concatenate([x, ends, np.nextafter(x, dtype(np.inf))])


@pytest.mark.skipif(np.finfo(wide).nmant < 63, reason="needs an extended precision to compare with")
@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(("functions", "dtype"), [(FUNCTIONS, np.float64), (FUNCTIONS_32, np.float32)])
def test_close_to_the_true_value(functions, dtype, name):
    x = sample(dtype)
    out = np.empty_like(x)
    in_a_loop(functions[name])(x, out)
    with np.errstate(all="ignore"):
        exact = REFERENCES[name](x.astype(wide))
        rounded = exact.astype(dtype)
        off = np.abs(out - exact) / np.spacing(np.abs(rounded))
    same = (out == rounded) & (np.signbit(out) == np.signbit(rounded)) | (np.isnan(out) & np.isnan(rounded))
    near = same | ((off < (LIMITS[name] if dtype is np.float64 else 0.51)) & np.isfinite(out))
    assert near.all(), [(x[i], out[i], rounded[i]) for i in np.flatnonzero(~near)[:3]]
    zero = rounded == 0
    assert same[zero].all()  # with the right sign


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_loop_is_vector_code(name):
    loop = in_a_loop(FUNCTIONS[name])
    types = (numba.float64[::1], numba.float64[::1])
    loop.compile(types)
    code = loop.inspect_llvm(types)
    body = code[code.index("vector.body:") :]
    body = body[: body.index("br i1")]
    assert " x double> " in body
    assert not [line for line in body.splitlines() if " call " in line and "@llvm." not in line]
