"""The op table: one op, one row.

Kernels, derivative rules, NumPy dispatch, tests and the reference page of ops come from here.
``elementwise("name(x)", value, partial...)`` gives the value and the partial derivative for each
argument as expressions (see ``language``); ``y`` is the value. A value that is the op itself names a
primitive of ``kernels/ad_math.h``. ``undifferentiable``: no derivative exists, or it is zero
wherever it exists; ``missing``: it exists, but nobody wrote it yet.
"""

from __future__ import annotations

import math
import re

from . import language
from .row import INF, Row

ROWS: list[Row] = []
# rows of one argument that share most of their work: where a block computes both, one kernel does
PAIRS = (("sin", "cos"), ("sinh", "cosh"))


def signature(text):
    name, args = re.fullmatch(r"(\w+)\((.*)\)", text).groups()
    return name, tuple(a.strip() for a in args.split(",") if a.strip())


def elementwise(call, value, *partials, **fields):
    name, args = signature(call)
    ROWS.append(Row(name, args, language.parse(value), tuple(map(language.parse, partials)), **fields))


def undifferentiable(call, value, **fields):
    """No derivative exists, or it is zero wherever it exists."""
    elementwise(call, value, *["0"] * len(signature(call)[1]), **fields)


def comparison(call, value, ufunc=None, **fields):
    undifferentiable(call, value, boolean=True, ufunc=ufunc, **fields)


def structural(call, transpose="", **fields):
    name, args = signature(call)
    ROWS.append(Row(name, args, kind="structural", transpose=transpose, **fields))


def series(coefficients, x):
    """Horner's form of a polynomial, lowest coefficient first."""
    text = repr(coefficients[-1])
    for c in reversed(coefficients[:-1]):
        text = f"({c!r} + {x}*{text})"
    return text


SINC_SLOPE = series([(-1) ** n * math.pi ** (2 * n) * 2 * n / math.factorial(2 * n + 1) for n in range(1, 11)], "(x*x)")


# -- arithmetic ----------------------------------------------------------------
elementwise("identity(x)", "x", "1", ufunc="positive")
undifferentiable("detach(x)", "x", doc="The value goes on, the derivative does not.")
elementwise("add(x1, x2)", "x1 + x2", "1", "1", commutative=True, ufunc="add")
elementwise("sub(x1, x2)", "x1 - x2", "1", "-1", ufunc="subtract")
elementwise("mul(x1, x2)", "x1 * x2", "x2", "x1", commutative=True, ufunc="multiply")
elementwise("div(x1, x2)", "x1 / x2", "1/x2", "-y/x2", ufunc="divide")
elementwise("neg(x)", "-x", "-1", ufunc="negative")
elementwise("abs(x)", "abs(x)", "sign(x)", kinks=(0.0,), ufunc="absolute")
elementwise("square(x)", "x*x", "2*x", ufunc="square")
elementwise("sqrt(x)", "sqrt(x)", "0.5/y", domain=(0.0, INF), ufunc="sqrt")
elementwise("cbrt(x)", "cbrt(x)", "1/(3*y*y)", ufunc="cbrt", kinks=(0.0,))
elementwise("reciprocal(x)", "1/x", "-y*y", ufunc="reciprocal")
elementwise(
    "power(x1, x2)",
    "power(x1, x2)",
    "where(x2 == 0, 0, x2 * power(x1, x2 - 1))",
    "where(x1 > 0, y * log(where(x1 > 0, x1, 1)), 0)",
    domain=((0.0, INF), (-INF, INF)),
    ufunc="power",
    block="ad_power_block",
    doc="The exponent's partial is 0 where x1 <= 0: y does not vary smoothly with it there.",
)
elementwise("muladd(x1, x2, x3)", "x1*x2 + x3", "x2", "x1", "1", doc="Two roundings, never contracted.")
elementwise(
    "mulz(x1, x2)",
    "where(x1 == 0, 0, x1*x2)",
    "x2",
    "x1",
    doc="The adjoint multiply: a zero adjoint times an infinite partial is 0.",
)
undifferentiable("sign(x)", "where(x != x, x, (x > 0) - (x < 0))", kinks=(0.0,), ufunc="sign")
elementwise("copysign(x1, x2)", "copysign(x1, x2)", "where(y == x1, 1, -1)", "0", ufunc="copysign", kinks=(0.0,))

# -- exponentials and logarithms -------------------------------------------------
elementwise("exp(x)", "exp(x)", "y", ufunc="exp")
elementwise("exp2(x)", "exp2(x)", "y*ln2", ufunc="exp2")
elementwise("expm1(x)", "expm1(x)", "y + 1", ufunc="expm1")
elementwise("log(x)", "log(x)", "1/x", domain=(0.0, INF), ufunc="log")
elementwise("log2(x)", "log2(x)", "1/(x*ln2)", domain=(0.0, INF), ufunc="log2")
elementwise("log10(x)", "log10(x)", "1/(x*ln10)", domain=(0.0, INF), ufunc="log10")
elementwise("log1p(x)", "log1p(x)", "1/(1 + x)", domain=(-1.0, INF), ufunc="log1p")
elementwise("logaddexp(x1, x2)", "logaddexp(x1, x2)", "exp(x1 - y)", "exp(x2 - y)", commutative=True, ufunc="logaddexp")
elementwise("logaddexp2(x1, x2)", "logaddexp2(x1, x2)", "exp2(x1 - y)", "exp2(x2 - y)", commutative=True, ufunc="logaddexp2")

# -- trigonometric and hyperbolic --------------------------------------------------
elementwise("sin(x)", "sin(x)", "cos(x)", ufunc="sin", narrow="ad_moderate")
elementwise("cos(x)", "cos(x)", "-sin(x)", ufunc="cos", narrow="ad_moderate")
elementwise("tan(x)", "tan(x)", "1 + y*y", ufunc="tan", narrow="ad_moderate")
elementwise("arcsin(x)", "arcsin(x)", "1/sqrt((1 - x)*(1 + x))", domain=(-1.0, 1.0), ufunc="arcsin")
elementwise("arccos(x)", "arccos(x)", "-1/sqrt((1 - x)*(1 + x))", domain=(-1.0, 1.0), ufunc="arccos")
elementwise("arctan(x)", "arctan(x)", "1/(1 + x*x)", ufunc="arctan")
elementwise(
    "arctan2(x1, x2)",
    "arctan2(x1, x2)",
    "where(hypot(x1, x2) == 0, 0, x2/hypot(x1, x2)/hypot(x1, x2))",
    "where(hypot(x1, x2) == 0, 0, -x1/hypot(x1, x2)/hypot(x1, x2))",
    ufunc="arctan2",
    kinks=((0.0, 0.0),),
)
elementwise("sinh(x)", "sinh(x)", "cosh(x)", ufunc="sinh")
elementwise("cosh(x)", "cosh(x)", "sinh(x)", ufunc="cosh")
elementwise("tanh(x)", "tanh(x)", "1 - y*y", ufunc="tanh")
elementwise("arcsinh(x)", "arcsinh(x)", "1/hypot(x, 1)", ufunc="arcsinh")
elementwise("arccosh(x)", "arccosh(x)", "1/(sqrt(x - 1)*sqrt(x + 1))", domain=(1.0, INF), ufunc="arccosh")
elementwise("arctanh(x)", "arctanh(x)", "1/((1 - x)*(1 + x))", domain=(-1.0, 1.0), ufunc="arctanh")
elementwise(
    "hypot(x1, x2)",
    "hypot(x1, x2)",
    "where(y == 0, 0, x1/y)",
    "where(y == 0, 0, x2/y)",
    kinks=((0.0, 0.0),),
    commutative=True,
    ufunc="hypot",
    doc="At the origin both partials are 0, a subgradient of the norm.",
)
elementwise("deg2rad(x)", "x*(pi/180)", "pi/180", ufunc="deg2rad")
elementwise("rad2deg(x)", "x*(180/pi)", "180/pi", ufunc="rad2deg")
elementwise(
    "sinc(x)",
    "sinc(x)",
    f"where(abs(x) < 0.3, x*{SINC_SLOPE}, (cos(pi*x) - y)/x)",
    doc="Near 0 the derivative is its power series, since cos(pi x) - sinc(x) cancels.",
)

# -- choosing ------------------------------------------------------------------------
elementwise(
    "maximum(x1, x2)",
    "maximum(x1, x2)",
    "(x1 > x2) + 0.5*(x1 == x2)",
    "(x2 > x1) + 0.5*(x1 == x2)",
    commutative=True,
    ufunc="maximum",
    kinks=("x1 == x2",),
    doc="A tie shares equally.",
)
elementwise(
    "minimum(x1, x2)",
    "minimum(x1, x2)",
    "(x1 < x2) + 0.5*(x1 == x2)",
    "(x2 < x1) + 0.5*(x1 == x2)",
    commutative=True,
    ufunc="minimum",
    kinks=("x1 == x2",),
    doc="A tie shares equally.",
)
elementwise(
    "fmax(x1, x2)",
    "fmax(x1, x2)",
    "where(x1 == x2, 0.5, y == x1)",
    "where(x1 == x2, 0.5, y == x2)",
    commutative=True,
    ufunc="fmax",
    kinks=("x1 == x2",),
    doc="A NaN loses; a tie shares equally.",
)
elementwise(
    "fmin(x1, x2)",
    "fmin(x1, x2)",
    "where(x1 == x2, 0.5, y == x1)",
    "where(x1 == x2, 0.5, y == x2)",
    commutative=True,
    ufunc="fmin",
    kinks=("x1 == x2",),
    doc="A NaN loses; a tie shares equally.",
)
elementwise("where(x1, x2, x3)", "where(x1 != 0, x2, x3)", "0", "x1 != 0", "x1 == 0")
elementwise(
    "clip(x1, x2, x3)",
    "minimum(maximum(x1, x2), x3)",
    "(x1 >= x2) * (x1 <= x3)",
    "(x1 < x2) * (x2 <= x3)",
    "where(x2 > x3, 1, x1 > x3)",
    kinks=("x1 == x2", "x1 == x3"),
    doc="Inside and on the bounds the gradient goes to x1.",
)

# -- rounding and remainders ---------------------------------------------------------------
undifferentiable("floor(x)", "floor(x)", ufunc="floor", kinks=("integers",))
undifferentiable("ceil(x)", "ceil(x)", ufunc="ceil", kinks=("integers",))
undifferentiable("rint(x)", "rint(x)", ufunc="rint", kinks=("half integers",))
undifferentiable("trunc(x)", "trunc(x)", ufunc="trunc", kinks=("integers",))
undifferentiable("floor_divide(x1, x2)", "floor_divide(x1, x2)", ufunc="floor_divide", kinks=("multiples",))
elementwise("fmod(x1, x2)", "fmod(x1, x2)", "1", "-trunc(x1/x2)", ufunc="fmod", kinks=("multiples",))
elementwise("mod(x1, x2)", "mod(x1, x2)", "1", "-floor(x1/x2)", ufunc="remainder", kinks=("multiples",))
undifferentiable("heaviside(x1, x2)", "where(x1 != x1, x1, where(x1 == 0, x2, x1 > 0))", ufunc="heaviside", kinks=(0.0,))
elementwise(
    "spacing(x)",
    "spacing(x)",
    "0",
    missing={0: "the distance to the next floating-point number is no function of real numbers"},
    ufunc="spacing",
)
elementwise("nextafter(x1, x2)", "nextafter(x1, x2)", "1", "0", ufunc="nextafter", doc="x1 but for one rounding.")

# -- special functions ------------------------------------------------------------------------
elementwise("expit(x)", "expit(x)", "y*(1 - y)")
elementwise("erf(x)", "erf(x)", "1.1283791670955126*exp(-(x*x))")
elementwise("erfc(x)", "erfc(x)", "-1.1283791670955126*exp(-(x*x))")
elementwise("gammaln(x)", "gammaln(x)", "digamma(x)", domain=(0.0, INF))
elementwise("digamma(x)", "digamma(x)", "trigamma(x)", domain=(0.0, INF))
elementwise("trigamma(x)", "trigamma(x)", "polygamma(2, x)", domain=(0.0, INF))
elementwise(
    "polygamma(x1, x2)",
    "polygamma(x1, x2)",
    "0",
    "polygamma(x1 + 1, x2)",
    domain=((0.0, INF), (0.0, INF)),
    missing={0: "the order is a whole number"},
    doc="The derivative of order x1 of digamma.",
)

# -- comparisons and logic: values, never differentiated -----------------------------------------
comparison("lt(x1, x2)", "x1 < x2", "less")
comparison("le(x1, x2)", "x1 <= x2", "less_equal")
comparison("gt(x1, x2)", "x1 > x2", "greater")
comparison("ge(x1, x2)", "x1 >= x2", "greater_equal")
comparison("eq(x1, x2)", "x1 == x2", "equal", commutative=True)
comparison("ne(x1, x2)", "x1 != x2", "not_equal", commutative=True)
comparison("logical_and(x1, x2)", "(x1 != 0) * (x2 != 0)", "logical_and", commutative=True)
comparison("logical_or(x1, x2)", "maximum(x1 != 0, x2 != 0)", "logical_or", commutative=True)
comparison("logical_xor(x1, x2)", "(x1 != 0) != (x2 != 0)", "logical_xor", commutative=True)
comparison("logical_not(x)", "x == 0", "logical_not")
comparison("isnan(x)", "x != x", "isnan")
comparison("isinf(x)", "abs(x) == inf", "isinf")
comparison("isfinite(x)", "abs(x) < inf", "isfinite")
comparison("signbit(x)", "copysign(1, x) < 0", "signbit")

# -- structure: see docs/architecture.md for maps ----------------------------------------------------
structural("input()", doc="An array bound by each run; param is its number.")
structural("const()", doc="An array of the surroundings, bound by each run.")
structural("literal()", doc="A number that is part of the program.")
structural("scalar()", doc="A number bound by each run.")
structural("full(x)", "sum(g)", doc="An array filled with a scalar.")
structural("empty()", doc="An array whose elements are all written before they are read.")
structural("view(base; map)", "accumulate(g; map)")
structural("window(base; map, box)", doc="A view that goes on around a box: zeros, its border, or its other end. Only plans have it.")
structural("sum(x; map)", "view(g; map)")
structural("reduce_max(x; map)", "view(g; map) shared among ties")
structural("reduce_min(x; map)", "view(g; map) shared among ties")
structural("reduce_prod(x; map)", missing={0: "products are recorded as trees of multiplications"})
structural("accumulate(base, x; map)", "g, view(g; map)")
structural("update(base, x; map)", "update(g, 0; map), view(g; map)")
structural("gather(base, offsets)", "scatter_add(g, offsets)")
structural("scatter_add(base, x, offsets)", "g, gather(g, offsets)")
structural("put(base, x, offsets)", "put(g, 0, offsets), gather(g, offsets)")
structural("matmul(x1, x2)", "matmul(g, x2'), matmul(x1', g)")
structural("pack(base, scalars; offsets)", "pack(g, 0; offsets), view(g; offset) each")
structural("pack_add(base, scalars; offsets)", "g, view(g; offset) each")
structural("cumsum(x; outer, n, inner, reverse)", "cumsum(g; outer, n, inner, not reverse)")
structural("call(args; rule)", "by the rule", doc="A function of whole arrays: LAPACK, FFT, a user's own. One array comes out.")
