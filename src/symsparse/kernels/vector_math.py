"""Elementary functions without branches, tables or calls, so that LLVM turns a loop over them into vector code.

In a loop, Numba calls the C library for each element. Each function here is a reduction of its argument, a polynomial
or a rational function near zero, and selections between formulas that are all evaluated. Errors stay below 2 units in
the last place over the whole range, subnormal numbers included; infinities, NaN and signed zeros are as in C. float32
is computed in float64 and rounded.

The reductions of exp and log and the coefficients of log are those of fdlibm (Sun Microsystems, 1993); those of exp
interpolate it at Chebyshev nodes. Intel's vector library would do the same, but Numba's wheels are built without it.
"""

import functools

import numba
import numpy as np

# "contract": a fused multiply-add where the host has it. Nothing else may change, for roundings are counted on.
straight = functools.partial(numba.njit, error_model="numpy", fastmath={"contract"}, forceinline=True)

LOG2_E = 1.4426950408889634
LN2_HIGH = 6.93147180369123816490e-01  # 32 bits: its product with an exponent is exact
LN2_LOW = 1.90821492927058770002e-10
SHIFT = 6755399441055744.0  # 1.5 * 2**52: adding it rounds to an integer, which its last bits then are
BIASED = SHIFT + 2046.0  # the same for n + 2046, twice the bias of an exponent

C3, C4, C5, C6 = 0.16666666666666669, 0.041666666666666664, 0.008333333333330062, 0.0013888888888886552
C7, C8, C9 = 0.00019841269863053618, 2.4801587317144498e-05, 2.7557268459997064e-06
C10, C11, C12 = 2.755728296954995e-07, 2.510038549551032e-08, 2.0911236630261545e-09


@straight
def _float(bits):
    return np.int64(bits).view(np.float64)


@straight
def _bits(x):
    return np.float64(x).view(np.int64)


@straight
def _reduced(x):
    """(2**a, 2**b, r, e): x = (a + b) log(2) + r + e, where abs(r) <= log(2) / 2 and e is what r lost by rounding.

    The power of two comes in halves, since it need not be a number where a result is.
    """
    shifted = x * LOG2_E + BIASED
    n = shifted - BIASED
    high = x - n * LN2_HIGH
    low = n * LN2_LOW
    r = high - low
    half = _bits(shifted) >> 1
    return _float(half << 52), _float((_bits(shifted) - half) << 52), r, (high - r) - low


@straight
def _expm1_less(r):
    """exp(r) - 1 - r for abs(r) <= log(2) / 2: the third factor is interpolated at ten Chebyshev nodes."""
    r2 = r * r
    r4 = r2 * r2
    low = (C3 + r * C4) + r2 * (C5 + r * C6)
    high = (C7 + r * C8) + r2 * (C9 + r * C10)
    return 0.5 * r2 + r2 * r * (low + r4 * (high + r4 * (C11 + r * C12)))


@straight
def exp(x):
    x = 710.0 if x > 710.0 else x  # exp(710) is inf, and exp(-746) is 0
    x = -746.0 if x < -746.0 else x
    scale, scale_too, r, lost = _reduced(x)
    s = 1.0 + r
    return (s + (((1.0 - s) + r) + (_expm1_less(r) + lost))) * scale * scale_too


@straight
def expm1(x):
    given = x
    x = 710.0 if x > 710.0 else x
    x = -40.0 if x < -40.0 else x
    scale, scale_too, r, lost = _reduced(x)
    half = 0.5 * scale * scale_too  # the power itself is inf for the largest results
    minus = half - 0.5
    first = half * r  # exact
    s = minus + first
    result = 2.0 * (s + ((first - (s - minus)) + half * (_expm1_less(r) + lost)))
    return given if given == 0.0 else result


@straight
def _split(x):
    """K as a float and m with x = 2**k m and sqrt(1/2) <= m < sqrt(2), of a positive normal number."""
    ROOT = 0x3FE6A09E667F3BCD  # bits of sqrt(1/2)
    bits = _bits(x) - ROOT
    k = bits >> 52
    m = _float((bits & 0xFFFFFFFFFFFFF) + ROOT)
    return _float(k + _bits(SHIFT)) - SHIFT, m


@straight
def _log(k, f, lost):
    """log(2**k (1 + f + lost)) for sqrt(1/2) <= 1 + f < sqrt(2) and a `lost` below the last place of 1 + f."""
    s = f / (2.0 + f)
    z = s * s
    z2 = z * z
    tail = (6.666666666666735130e-01 + z * 3.999999999940941908e-01) + z2 * (
        2.857142874366239149e-01 + z * 2.222219843214978396e-01
    )
    last = 1.818357216161805012e-01 + z * (1.531383769920937332e-01 + z * 1.479819860511658591e-01)
    square = 0.5 * f * f
    ratio = s * (square + z * (tail + z2 * z2 * last))
    lost = lost * (1.0 - 2.0 * s * (1.0 - s * (1.0 - s)))  # lost / (1 + f), to 3 digits
    return k * LN2_HIGH - ((square - (ratio + (k * LN2_LOW + lost))) - f)


@straight
def log(x):
    tiny = x < 2.2250738585072014e-308  # subnormal, zero, negative
    k, m = _split(x * 18014398509481984.0 if tiny else x)  # 2**54
    result = _log(k - 54.0 if tiny else k, m - 1.0, 0.0)
    result = x if x == np.inf else result
    result = np.nan if not x >= 0.0 else result
    return -np.inf if x == 0.0 else result


@straight
def log1p(x):
    u = 1.0 + x
    k, m = _split(u)
    lost = 1.0 - (u - x) if u >= 2.0 else x - (u - 1.0)  # what rounding took from 1 + x
    lost = lost * _float(_bits(m) - _bits(u) + _bits(1.0))  # divided by 2**k
    near = k == 0.0
    f = x if near else m - 1.0
    result = _log(k, f, 0.0 if near or k > 54.0 else lost)
    result = x if x == np.inf or x == 0.0 else result
    result = np.nan if not x >= -1.0 else result
    return -np.inf if x == -1.0 else result


@straight
def sigmoid(x):
    negative = x < 0.0
    t = exp(-abs(x))
    below = 1.0 + t
    q = (t if negative else 1.0) / below
    inverse = 1.0 - q if negative else q  # of 1 + t
    return q - q * ((t - (below - 1.0)) * inverse)  # what rounding took from 1 + t


@straight
def softplus(x):
    """log(1 + exp(x))."""
    positive = 0.0 if x < 0.0 else x
    return positive + log1p(exp(-abs(x)))


@straight
def tanh(x):
    """-t / (t + 2) with t = exp(-2 |x|) - 1 where that is exact enough, 1 - 2 / (t + 2) with exp(2 |x|) - 1 beyond."""
    size = abs(x)
    small = size < 1.0
    t = expm1(-2.0 * size if small else 2.0 * size)
    below = t + 2.0
    q = (-t if small else 2.0) / below
    lost = (t - (below - 2.0)) * (0.5 + 0.5 * q)  # what rounding took from t + 2, divided by it
    return np.copysign(q - q * lost if small else 1.0 - q, x)


def _in_float64(function):
    @straight
    def narrow(x):
        return np.float32(function(np.float64(x)))

    return narrow


FUNCTIONS = {f.__name__: f for f in (exp, expm1, log, log1p, sigmoid, softplus, tanh)}
FUNCTIONS_32 = {name: _in_float64(f) for name, f in FUNCTIONS.items()}
