"""scipy.special on traced values: one row a function, in the op table's expression language.

``special("j0(x)", "-j1(x)")`` gives the partial derivative for each argument; ``y`` is the value, and names of functions
are those of the op table or of other rows. SciPy's own function computes the values, on whole arrays; derivatives of every
order come from other rows. ``fixed`` names the arguments that have a derivative which nobody has written (orders,
mostly), with the reason; ``refused`` says why a whole function has none here.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np

from .. import errors
from ..optable import language
from ..tracer import array as traced
from .calls import Family, apply
from .dispatch import REFUSED as REASONS
from .dispatch import UFUNCS, UFUNCS_ON_VALUES, any_active
from .reductions import max as reduce_max
from .reductions import sum as reduce_sum

ew = traced.elementwise


@dataclasses.dataclass(frozen=True, eq=False)
class Special:
    """A function of scipy.special: arguments, partial derivatives, and arguments that must be constant."""

    name: str
    args: tuple[str, ...]
    partials: tuple[str, ...]
    fixed: dict[str, str]
    of: str  # the function of SciPy that computes it
    output: int | None  # which of its results

    @functools.cached_property
    def trees(self) -> list[Any]:
        return [language.parse(text) for text in self.partials]  # type: ignore[no-untyped-call]

    @functools.cached_property
    def family(self) -> Family:
        return Family(f"scipy.special.{self.of}", self.evaluate, self.vjp, self.jvp)

    def evaluate(self, params: Any, *arrays: Any) -> Any:
        with np.errstate(all="ignore"):
            whole = WHOLE.get(self.of)
            result = function_of(self.of)(*[x.astype(np.intp) if self.args[k] == whole else x for k, x in enumerate(arrays)])
        return np.asarray(result if self.output is None else result[self.output], dtype=arrays[0].dtype)

    def partial(self, k: int, y: Any, args: Any) -> Any:
        if self.args[k] in self.fixed:
            raise self.missing(k)
        return evaluate(self.trees[k], dict(zip(self.args, args, strict=True), y=y))

    def missing(self, k: int) -> errors.MissingDerivative:
        return errors.MissingDerivative(traced.user_place(), f"scipy.special.{self.of}", k, self.fixed[self.args[k]])

    def vjp(self, params: Any, wanted: Any, g: Any, y: Any, *args: Any) -> Any:
        return tuple(ew("mulz", g, self.partial(k, y, args)) if use else None for k, use in enumerate(wanted))

    def jvp(self, params: Any, tangents: Any, y: Any, *args: Any) -> Any:
        return functools.reduce(
            lambda a, b: a + b, [ew("mulz", t, self.partial(k, y, args)) for k, t in enumerate(tangents) if t is not None]
        )

    def __call__(self, *args: Any, out: Any = None) -> Any:
        """Record the function of arguments of which one is traced."""
        if len(args) != len(self.args):
            raise TypeError(f"{traced.where_text()}scipy.special.{self.of} takes {len(self.args)} arguments, {len(args)} were given")
        trace = traced.find_trace(args)
        for k, x in enumerate(args):
            # in a rule all arguments look active: there, what is wanted decides
            if self.args[k] in self.fixed and not trace.standalone and any_active(x):
                raise self.missing(k)
        arrays = [traced.as_traced(trace, x) for x in args]
        shape = np.broadcast_shapes(*[a.shape for a in arrays])
        scalar, shape = not shape, shape or (1,)
        y = apply(self.family, (), shape, *[traced.broadcast_to(a, shape) for a in arrays])
        return y[0] if scalar else y


TABLE: dict[str, Special] = {}
OUTPUTS: dict[str, list[Special]] = {}  # functions with several results
REFUSED: dict[str, str] = {}
WHOLE = {"eval_hermite": "n", "eval_hermitenorm": "n", "bdtr": "n", "bdtrc": "n", "bdtri": "n"}  # arguments that SciPy wants as integers


def special(signature: str, *partials: str, fixed: dict[str, str] | None = None, of: str = "", output: int | None = None) -> None:
    """Add a row."""
    found = re.fullmatch(r"(\w+)\((.*)\)", signature)
    assert found is not None
    name, args = found[1], tuple(a.strip() for a in found[2].split(","))
    row = Special(name, args, partials, fixed or {}, of or name, output)
    TABLE[name] = row
    if output is None:
        UFUNCS[name] = row
    else:
        OUTPUTS.setdefault(row.of, []).append(row)


def refused(why: str, names: str) -> None:
    """Functions without derivatives here."""
    REFUSED.update(dict.fromkeys(names.split(), why))


@functools.cache
def function_of(name: str) -> Callable[..., Any]:
    import scipy.special

    return OWN[name] if name in OWN else getattr(scipy.special, name)


def evaluate(tree: Any, names: dict[str, Any], known: dict[Any, Any] | None = None) -> Any:
    """Record an expression."""
    known = {} if known is None else known
    if isinstance(tree, float):
        return tree
    if isinstance(tree, str):
        return names[tree]
    if tree not in known:
        op, *parts = tree
        args = [evaluate(part, names, known) for part in parts]
        known[tree] = operation(op, args)
    return known[tree]


def operation(op: str, args: list[Any]) -> Any:
    if op in HELPERS:
        return HELPERS[op](*args)
    row = TABLE.get(op)
    return ew(op, *args) if row is None else row(*args)


ORDER = "the derivative with respect to the order is not written"
SHAPE = "the derivative with respect to a shape parameter is not written"
DEGREE = {"n": "the derivative with respect to the degree is not written"}
NU = {"v": ORDER}
DF = {"df": "the derivative with respect to the degrees of freedom is not written"}

# -- gamma, beta, factorials ------------------------------------------------------------------------
special("gamma(x)", "y*psi(x)")
special("rgamma(x)", "where(y == 0, drgamma(x), -y*psi(x))")
special("loggamma(x)", "psi(x)")
special("psi(x)", "polygamma(1, x)")
special("polygamma(n, x)", "0", "polygamma(n + 1, x)", fixed={"n": ORDER})
special("poch(x, m)", "y*(psi(x + m) - psi(x))", "y*psi(x + m)")
special("beta(a, b)", "y*(psi(a) - psi(a + b))", "y*(psi(b) - psi(a + b))")
special("betaln(a, b)", "psi(a) - psi(a + b)", "psi(b) - psi(a + b)")
special("binom(n, k)", "y*(psi(n + 1) - psi(n - k + 1))", "y*(psi(n - k + 1) - psi(k + 1))")
special("zetac(x)", "0", fixed={"x": "the derivative of the zeta function has no kernel"})
special("zeta(x, q)", "0", "-x*zeta(x + 1, q)", fixed={"x": "the derivative of the zeta function by its exponent has no kernel"})
special("gammainc(a, x)", "0", "exp((a - 1)*log(x) - x - gammaln(a))", fixed={"a": SHAPE})
special("gammaincc(a, x)", "0", "-exp((a - 1)*log(x) - x - gammaln(a))", fixed={"a": SHAPE})
special("gammaincinv(a, p)", "0", "exp(gammaln(a) + y - (a - 1)*log(y))", fixed={"a": SHAPE})
special("gammainccinv(a, p)", "0", "-exp(gammaln(a) + y - (a - 1)*log(y))", fixed={"a": SHAPE})
AB = {"a": SHAPE, "b": SHAPE}
BETA_DENSITY = "exp((a - 1)*log({x}) + (b - 1)*log1p(-{x}) - betaln(a, b))"
special("betainc(a, b, x)", "0", "0", BETA_DENSITY.format(x="x"), fixed=AB)
special("betaincc(a, b, x)", "0", "0", "-" + BETA_DENSITY.format(x="x"), fixed=AB)
special("betaincinv(a, b, p)", "0", "0", "1/" + BETA_DENSITY.format(x="y"), fixed=AB)
special("betainccinv(a, b, p)", "0", "0", "-1/" + BETA_DENSITY.format(x="y"), fixed=AB)

# -- error functions and the normal distribution ---------------------------------------------------------
special("erfcx(x)", "2*x*y - 1.1283791670955126")
special("erfi(x)", "1.1283791670955126*exp(x*x)")
special("dawsn(x)", "1 - 2*x*y")
special("erfinv(x)", "0.8862269254527580*exp(y*y)")
special("erfcinv(x)", "-0.8862269254527580*exp(y*y)")
special("ndtr(x)", "0.3989422804014327*exp(-0.5*x*x)")
special("log_ndtr(x)", "0.7978845608028654/erfcx(-x*0.7071067811865476)")
special("ndtri(p)", "2.5066282746310002*exp(0.5*y*y)")
special("ndtri_exp(x)", "2.5066282746310002*exp(0.5*y*y + x)")
special(
    "owens_t(h, a)",
    "-0.1994711402007163*exp(-0.5*h*h)*erf(a*h*0.7071067811865476)",
    "0.15915494309189535*exp(-0.5*h*h*(1 + a*a))/(1 + a*a)",
)
special("voigt_profile(x, sigma, gamma)", "voigt(x, sigma, gamma, 0)", "voigt(x, sigma, gamma, 1)", "voigt(x, sigma, gamma, 2)")

# -- Bessel functions by their argument ---------------------------------------------------------------------
special("j0(x)", "-j1(x)")
special("j1(x)", "0.5*(j0(x) - jv(2, x))")
special("y0(x)", "-y1(x)")
special("y1(x)", "0.5*(y0(x) - yv(2, x))")
special("i0(x)", "i1(x)")
special("i1(x)", "0.5*(i0(x) + iv(2, x))")
special("i0e(x)", "i1e(x) - sign(x)*y")
special("i1e(x)", "0.5*(i0e(x) + ive(2, x)) - sign(x)*y")
special("k0(x)", "-k1(x)")
special("k1(x)", "-0.5*(k0(x) + kv(2, x))")
special("k0e(x)", "y - k1e(x)")
special("k1e(x)", "y - 0.5*(k0e(x) + kve(2, x))")
special("jv(v, x)", "0", "0.5*(jv(v - 1, x) - jv(v + 1, x))", fixed=NU)
special("jn(v, x)", "0", "0.5*(jv(v - 1, x) - jv(v + 1, x))", fixed=NU)
special("jve(v, x)", "0", "0.5*(jve(v - 1, x) - jve(v + 1, x))", fixed=NU)
special("yv(v, x)", "0", "0.5*(yv(v - 1, x) - yv(v + 1, x))", fixed=NU)
special("yn(v, x)", "0", "0.5*(yv(v - 1, x) - yv(v + 1, x))", fixed=NU)
special("yve(v, x)", "0", "0.5*(yve(v - 1, x) - yve(v + 1, x))", fixed=NU)
special("iv(v, x)", "0", "0.5*(iv(v - 1, x) + iv(v + 1, x))", fixed=NU)
special("ive(v, x)", "0", "0.5*(ive(v - 1, x) + ive(v + 1, x)) - sign(x)*y", fixed=NU)
special("kv(v, x)", "0", "-0.5*(kv(v - 1, x) + kv(v + 1, x))", fixed=NU)
special("kn(v, x)", "0", "-0.5*(kv(v - 1, x) + kv(v + 1, x))", fixed=NU)
special("kve(v, x)", "0", "y - 0.5*(kve(v - 1, x) + kve(v + 1, x))", fixed=NU)
SPHERICAL = {"n": ORDER}
special("spherical_jn(n, z)", "0", "where(n == 0, -spherical_jn(1, z), spherical_jn(maximum(n - 1, 0), z) - (n + 1)/z*y)", fixed=SPHERICAL)
special("spherical_yn(n, z)", "0", "where(n == 0, -spherical_yn(1, z), spherical_yn(maximum(n - 1, 0), z) - (n + 1)/z*y)", fixed=SPHERICAL)
special("spherical_in(n, z)", "0", "where(n == 0, spherical_in(1, z), spherical_in(maximum(n - 1, 0), z) - (n + 1)/z*y)", fixed=SPHERICAL)
special("spherical_kn(n, z)", "0", "where(n == 0, -spherical_kn(1, z), -spherical_kn(maximum(n - 1, 0), z) - (n + 1)/z*y)", fixed=SPHERICAL)
special("struve(v, x)", "0", "struve(v - 1, x) - v/x*y", fixed=NU)
special("modstruve(v, x)", "0", "modstruve(v - 1, x) - v/x*y", fixed=NU)
for _name, _slope in (("ber", "berp"), ("bei", "beip"), ("ker", "kerp"), ("kei", "keip")):
    special(f"{_name}(x)", f"{_slope}(x)")
special("berp(x)", "-bei(x) - y/x")
special("beip(x)", "ber(x) - y/x")
special("kerp(x)", "-kei(x) - y/x")
special("keip(x)", "ker(x) - y/x")
special("itstruve0(x)", "struve(0, x)")
special("itmodstruve0(x)", "modstruve(0, x)")
special("it2struve0(x)", "-struve(0, x)/x")

# -- exponentials, logarithms, entropies ------------------------------------------------------------------------
special("exp10(x)", "y*ln10")
special("exprel(x)", "dexprel(x)")
special("cosm1(x)", "-sin(x)")
special("powm1(x, y_)", "y_*power(x, y_ - 1)", "(y + 1)*log(x)")
special("logit(x)", "1/(x*(1 - x))")
special("log_expit(x)", "expit(-x)")
special("softplus(x)", "expit(x)")
special("entr(x)", "where(x > 0, -log(where(x > 0, x, 1)) - 1, inf)")
special("rel_entr(x, q)", "log(x/q) + 1", "-x/q")
special("kl_div(x, q)", "log(x/q)", "1 - x/q")
special("xlogy(x, q)", "where(x == 0, where(q > 0, log(where(q > 0, q, 1)), 0), log(q))", "where(x == 0, 0, x/where(x == 0, 1, q))")
special(
    "xlog1py(x, q)",
    "where(x == 0, where(q > -1, log1p(where(q > -1, q, 0)), 0), log1p(q))",
    "where(x == 0, 0, x/(1 + where(x == 0, 0, q)))",
)
special("huber(delta, r)", "where(abs(r) <= delta, 0, abs(r) - delta)", "minimum(maximum(r, -delta), delta)")
special("pseudo_huber(delta, r)", "where(delta == 0, 0, 2*y/delta - r*r/delta/sqrt(1 + r*r/delta/delta))", "r/sqrt(1 + r*r/delta/delta)")
special("boxcox(x, lam)", "power(x, lam - 1)", "dboxcox(x, lam)")
special("boxcox1p(x, lam)", "power(1 + x, lam - 1)", "dboxcox(1 + x, lam)")
special("inv_boxcox(x, lam)", "power(y, 1 - lam)", "-dboxcox(y, lam)*power(y, 1 - lam)")
special("inv_boxcox1p(x, lam)", "power(1 + y, 1 - lam)", "-dboxcox(1 + y, lam)*power(1 + y, 1 - lam)")
special("wrightomega(x)", "y/(1 + y)")
special("radian(d, m, s)", "0.017453292519943295", "0.0002908882086657216", "4.84813681109536e-06")
special("sindg(x)", "0.017453292519943295*cosdg(x)")
special("cosdg(x)", "-0.017453292519943295*sindg(x)")
special("tandg(x)", "0.017453292519943295*(1 + y*y)")
special("cotdg(x)", "-0.017453292519943295*(1 + y*y)")
special("tklmbda(x, lam)", "where(y*(1 - y) > 0, 1/(power(y, lam - 1) + power(1 - y, lam - 1)), 0)", "0", fixed={"lam": SHAPE})

# -- integrals ------------------------------------------------------------------------------------------------
special("exp1(x)", "-exp(-x)/x")
special("expi(x)", "exp(x)/x")
special("lambertw_0(x)", "exp(-y)/(1 + y)", of="lambertw_0")
special("lambertw_1(x)", "exp(-y)/(1 + y)", of="lambertw_1")
special("expn(n, x)", "0", "where(n == 0, -y*(1 + 1/x), -expn(maximum(n - 1, 0), x))", fixed=DEGREE)
special("spence(x)", "where(x == 1, -1, log(x)/(1 - x))")
special("si(x)", "where(x == 0, 1, sin(x)/x)", of="sici", output=0)
special("ci(x)", "cos(x)/x", of="sici", output=1)
special("shi(x)", "where(x == 0, 1, sinh(x)/x)", of="shichi", output=0)
special("chi(x)", "cosh(x)/x", of="shichi", output=1)
special("fresnels(x)", "sin(0.5*pi*x*x)", of="fresnel", output=0)
special("fresnelc(x)", "cos(0.5*pi*x*x)", of="fresnel", output=1)
special("airy_ai(x)", "airy_aip(x)", of="airy", output=0)
special("airy_aip(x)", "x*airy_ai(x)", of="airy", output=1)
special("airy_bi(x)", "airy_bip(x)", of="airy", output=2)
special("airy_bip(x)", "x*airy_bi(x)", of="airy", output=3)
special("itairy_a(x)", "airy_ai(x)", of="itairy", output=0)
special("itairy_b(x)", "airy_bi(x)", of="itairy", output=1)
special("itairy_c(x)", "airy_ai(-x)", of="itairy", output=2)
special("itairy_d(x)", "airy_bi(-x)", of="itairy", output=3)
special("iti0(x)", "i0(x)", of="iti0k0", output=0)
special("itk0(x)", "k0(x)", of="iti0k0", output=1)
special("itj0(x)", "j0(x)", of="itj0y0", output=0)
special("ity0(x)", "y0(x)", of="itj0y0", output=1)
special("it2i0(x)", "(i0(x) - 1)/x", of="it2i0k0", output=0)
special("it2k0(x)", "-k0(x)/x", of="it2i0k0", output=1)
special("it2j0(x)", "(1 - j0(x))/x", of="it2j0y0", output=0)
special("it2y0(x)", "-y0(x)/x", of="it2j0y0", output=1)
M = {"m": "the derivative with respect to the parameter is not written"}
special("sn(u, m)", "cn(u, m)*dn(u, m)", "0", of="ellipj", output=0, fixed=M)
special("cn(u, m)", "-sn(u, m)*dn(u, m)", "0", of="ellipj", output=1, fixed=M)
special("dn(u, m)", "-m*sn(u, m)*cn(u, m)", "0", of="ellipj", output=2, fixed=M)
special("am(u, m)", "dn(u, m)", "0", of="ellipj", output=3, fixed=M)
special("pbdv_d(v, x)", "0", "0.5*x*y - pbdv_d(v + 1, x)", of="pbdv", output=0, fixed=NU)
special("pbdv_dp(v, x)", "0", "(0.25*x*x - v - 0.5)*pbdv_d(v, x)", of="pbdv", output=1, fixed=NU)
DK = "0.39269908169872414*hyp2f1(0.5, 0.5, 2, {m})/{p}"
special("ellipk(m)", DK.format(m="m", p="(1 - m)"))
special("ellipkm1(p)", "-" + DK.format(m="1 - p", p="p"))
special("ellipe(m)", "-0.39269908169872414*hyp2f1(0.5, 1.5, 2, m)")
ROOT = "sqrt(1 - m*sin(phi)*sin(phi))"
AT_0 = "0.25*(phi - sin(phi)*cos(phi))"
special(
    "ellipkinc(phi, m)",
    f"1/{ROOT}",
    f"where(m == 0, {AT_0}, (ellipeinc(phi, m)/(1 - m) - y)/(2*m) - sin(2*phi)/(4*(1 - m)*{ROOT}))",
)
special("ellipeinc(phi, m)", ROOT, f"where(m == 0, -{AT_0}, (y - ellipkinc(phi, m))/(2*m))")
special(
    "elliprc(x, q)",
    "where(x == q, -1/(6*q*sqrt(q)), 0.5*(y - 1/sqrt(x))/(q - x))",
    "where(x == q, -1/(3*q*sqrt(q)), -0.5*(y - sqrt(x)/q)/(q - x))",
)
special("elliprf(x, q, z)", "-elliprd(q, z, x)/6", "-elliprd(x, z, q)/6", "-elliprd(x, q, z)/6")
special("elliprd(x, q, z)", "0", "0", "0", fixed=dict.fromkeys(("x", "q", "z"), "its derivatives are not written"))
M2 = "((a - b)/(a + b)*((a - b)/(a + b)))"
SLOPE = "4*(a - b)/((a + b)*(a + b)*(a + b))*" + DK.format(m=M2, p=f"(1 - {M2})") + f"/ellipk({M2})"
special("agm(a, b)", f"y*(1/(a + b) - b*{SLOPE})", f"y*(1/(a + b) + a*{SLOPE})")

# -- hypergeometric functions and orthogonal polynomials -----------------------------------------------------------
A = {"a": SHAPE}
special("hyp0f1(b, z)", "0", "hyp0f1(b + 1, z)/b", fixed={"b": SHAPE})
special("hyp1f1(a, b, x)", "0", "0", "a/b*hyp1f1(a + 1, b + 1, x)", fixed=AB)
special("hyperu(a, b, x)", "0", "0", "-a*hyperu(a + 1, b + 1, x)", fixed=AB)
special("hyp2f1(a, b, c, z)", "0", "0", "0", "a*b/c*hyp2f1(a + 1, b + 1, c + 1, z)", fixed={**AB, "c": SHAPE})


def lowered(expression: str) -> str:
    """A derivative in which the degree is one less: 0 for constants."""
    return f"where(n == 0, 0, {expression.replace('DOWN', 'where(n == 0, 0, n - 1)')})"


for _call, _slope in (
    ("eval_legendre(n, x)", "0.5*(n + 1)*eval_jacobi(DOWN, 1, 1, x)"),
    ("eval_sh_legendre(n, x)", "(n + 1)*eval_jacobi(DOWN, 1, 1, 2*x - 1)"),
    ("eval_chebyt(n, x)", "n*eval_chebyu(DOWN, x)"),
    ("eval_chebyu(n, x)", "2*eval_gegenbauer(DOWN, 2, x)"),
    ("eval_chebyc(n, x)", "n*eval_chebys(DOWN, x)"),
    ("eval_chebys(n, x)", "eval_gegenbauer(DOWN, 2, 0.5*x)"),
    ("eval_sh_chebyt(n, x)", "2*n*eval_chebyu(DOWN, 2*x - 1)"),
    ("eval_sh_chebyu(n, x)", "4*eval_gegenbauer(DOWN, 2, 2*x - 1)"),
    ("eval_hermite(n, x)", "2*n*eval_hermite(DOWN, x)"),
    ("eval_hermitenorm(n, x)", "n*eval_hermitenorm(DOWN, x)"),
    ("eval_laguerre(n, x)", "-eval_genlaguerre(DOWN, 1, x)"),
):
    special(_call, "0", lowered(_slope), fixed=DEGREE)
special("eval_genlaguerre(n, a, x)", "0", "0", lowered("-eval_genlaguerre(DOWN, a + 1, x)"), fixed={**DEGREE, **A})
special("eval_gegenbauer(n, a, x)", "0", "0", lowered("2*a*eval_gegenbauer(DOWN, a + 1, x)"), fixed={**DEGREE, **A})
special("eval_jacobi(n, a, b, x)", "0", "0", "0", lowered("0.5*(n + a + b + 1)*eval_jacobi(DOWN, a + 1, b + 1, x)"), fixed={**DEGREE, **AB})
special("eval_sh_jacobi(n, p, q, x)", "0", "0", "0", lowered("n*eval_sh_jacobi(DOWN, p + 2, q + 1, x)"),
        fixed={**DEGREE, "p": SHAPE, "q": SHAPE})  # fmt: skip

# -- distribution functions by their argument -----------------------------------------------------------------------
special("stdtr(df, t)", "0", "exp(gammaln(0.5*(df + 1)) - gammaln(0.5*df) - 0.5*log(pi*df) - 0.5*(df + 1)*log1p(t*t/df))", fixed=DF)
special("stdtrit(df, p)", "0", "exp(-(gammaln(0.5*(df + 1)) - gammaln(0.5*df) - 0.5*log(pi*df) - 0.5*(df + 1)*log1p(y*y/df)))", fixed=DF)
CHI2 = "0.5*exp((0.5*v - 1)*log(0.5*{x}) - 0.5*{x} - gammaln(0.5*v))"
V = {"v": DF["df"]}
special("chdtr(v, x)", "0", CHI2.format(x="x"), fixed=V)
special("chdtrc(v, x)", "0", "-" + CHI2.format(x="x"), fixed=V)
special("chdtri(v, p)", "0", "-1/(" + CHI2.format(x="y") + ")", fixed=V)
F = "exp(0.5*n*log(n*{x}/(n*{x} + d)) + 0.5*d*log(d/(n*{x} + d)) - log({x}) - betaln(0.5*n, 0.5*d))"
ND = {"n": DF["df"], "d": DF["df"]}
special("fdtr(n, d, x)", "0", "0", F.format(x="x"), fixed=ND)
special("fdtrc(n, d, x)", "0", "0", "-" + F.format(x="x"), fixed=ND)
special("fdtri(n, d, p)", "0", "0", "1/" + F.format(x="y"), fixed=ND)
GD = "exp(b*log(a) + (b - 1)*log({x}) - a*{x} - gammaln(b))"
special("gdtr(a, b, x)", f"{GD.format(x='x')}*x/a", "0", GD.format(x="x"), fixed={"b": SHAPE})
special("gdtrc(a, b, x)", f"-{GD.format(x='x')}*x/a", "0", "-" + GD.format(x="x"), fixed={"b": SHAPE})
special("gdtrix(a, b, p)", "-y/a", "0", "1/" + GD.format(x="y"), fixed={"b": SHAPE})
special("pdtr(k, m)", "0", "-exp(k*log(m) - m - gammaln(k + 1))", fixed={"k": "it counts"})
special("pdtrc(k, m)", "0", "exp(k*log(m) - m - gammaln(k + 1))", fixed={"k": "it counts"})
special("pdtri(k, p)", "0", "-exp(-(k*log(y) - y - gammaln(k + 1)))", fixed={"k": "it counts"})
COUNTS = {"k": "it counts", "n": "it counts"}
BINOMIAL = "exp(-betaln(k + 1, n - k) + k*log({x}) + (n - k - 1)*log1p(-{x}))"
special("bdtr(k, n, p)", "0", "0", "-" + BINOMIAL.format(x="p"), fixed=COUNTS)
special("bdtrc(k, n, p)", "0", "0", BINOMIAL.format(x="p"), fixed=COUNTS)
special("bdtri(k, n, q)", "0", "0", "-1/" + BINOMIAL.format(x="y"), fixed=COUNTS)
NEGATIVE = "exp(-betaln(n, k + 1) + (n - 1)*log({x}) + k*log1p(-{x}))"
special("nbdtr(k, n, p)", "0", "0", NEGATIVE.format(x="p"), fixed=COUNTS)
special("nbdtrc(k, n, p)", "0", "0", "-" + NEGATIVE.format(x="p"), fixed=COUNTS)
special("nbdtri(k, n, q)", "0", "0", "1/" + NEGATIVE.format(x="y"), fixed=COUNTS)

# -- what is refused ---------------------------------------------------------------------------------------------------
refused("its values are complex", "hankel1 hankel1e hankel2 hankel2e kelvin modfresnelm modfresnelp")
refused(
    "its derivative is not written",
    "airye bdtrik bdtrin besselpoly btdtria btdtrib chdtriv chndtr chndtridf chndtrinc chndtrix elliprg elliprj fdtridfd gdtria gdtrib "
    "kolmogi kolmogorov log_wright_bessel lpmv ncfdtr ncfdtri ncfdtridfd ncfdtridfn ncfdtrinc nctdtr nctdtridf nctdtrinc nctdtrit "
    "nbdtrik nbdtrin nrdtrimn nrdtrisd pbvv pbwa pdtrik smirnov smirnovi stdtridf wright_bessel",
)
refused("SciPy has replaced it: use sph_harm_y", "sph_harm")
refused("Mathieu functions have no derivatives here", "mathieu_a mathieu_b mathieu_cem mathieu_modcem1 mathieu_modcem2 mathieu_modsem1 "
        "mathieu_modsem2 mathieu_sem")  # fmt: skip
refused(
    "spheroidal wave functions have no derivatives here",
    "obl_ang1 obl_ang1_cv obl_cv obl_rad1 obl_rad1_cv obl_rad2 obl_rad2_cv "
    "pro_ang1 pro_ang1_cv pro_cv pro_rad1 pro_rad1_cv pro_rad2 pro_rad2_cv",
)
REASONS.update(REFUSED)
UFUNCS_ON_VALUES.update({"gammasgn", "round"})
UFUNCS.update({name: (lambda *args, _rows=rows: tuple(row(*args) for row in _rows)) for name, rows in OUTPUTS.items()})
# rows of the op table under SciPy's names: kernels that fuse
UFUNCS.update(
    psi=lambda x: ew("digamma", x),
    log_expit=lambda x: -np.logaddexp(0.0, -x),
    ndtr=lambda x: 0.5 * ew("erfc", -x * math.sqrt(0.5)),
    logit=lambda p: np.log(p) - np.log1p(-p),
)

# -- derivatives that SciPy has no function for, used in rows ------------------------------------------------------------


def drgamma(x: Any) -> Any:
    """The derivative of 1/gamma at its zeros, the integers -n: (-1)^n n!."""
    n = ew("rint", ew("maximum", -x, 0.0))
    return ew("where", n % 2.0 == 0.0, 1.0, -1.0) * TABLE["gamma"](n + 1.0)


def dexprel(x: Any) -> Any:
    """The derivative of (exp(x) - 1)/x; near 0 its series."""
    near = abs(x) < 0.5
    safe, small = ew("where", near, 1.0, x), ew("where", near, x, 0.0)
    series: Any = 0.0
    for k in reversed(range(16)):
        series = series * small + (k + 1) / math.factorial(k + 2)
    return ew("where", near, series, (ew("exp", safe) * (safe - 1.0) + 1.0) / (safe * safe))


def dboxcox(x: Any, lam: Any) -> Any:
    """The derivative of (x^lam - 1)/lam by lam: log(x)^2 times the derivative of exprel at lam log(x)."""
    t = ew("log", x)
    return t * t * dexprel(lam * t)


def dwofz(z: Any, w: Any) -> Any:
    """The derivative of Faddeeva's function w(z) (DLMF 7.10.2)."""
    return 2j / math.sqrt(math.pi) - 2.0 * z * w


def dvoigt(x: Any, sigma: Any, gamma: Any, by: float) -> Any:
    """A derivative of Re(w(z))/(sigma sqrt(2 pi)), z = (x + i gamma)/(sigma sqrt(2))."""
    scale = 1.0 / (sigma * math.sqrt(2.0))
    z = (x + 1j * gamma) * scale
    w = function_of("wofz")(z)
    dw = dwofz(z, w)
    by_sigma = -(w + z * dw).real / sigma
    return (dw.real * scale, by_sigma, -dw.imag * scale)[int(by)] * scale / math.sqrt(math.pi)


HELPERS: dict[str, Callable[..., Any]] = {"voigt": dvoigt, "drgamma": drgamma, "dexprel": dexprel, "dboxcox": dboxcox}


def real_branch(k: int) -> Callable[..., Any]:
    """A real branch of Lambert's function, where it is real."""

    def of(x: Any) -> Any:
        w = function_of("lambertw")(x, k)
        if np.any(np.abs(w.imag) > 0):
            raise errors.NotDifferentiable(f"scipy.special.lambertw(z, {k}) is complex here: adcore differentiates its real branches")
        return w.real

    return of


OWN: dict[str, Callable[..., Any]] = {"lambertw_0": real_branch(0), "lambertw_1": real_branch(-1)}

# -- functions of scipy that go past NumPy's protocols: reached by rebinding of names -----------------------------------------


def logsumexp(a: Any, axis: Any = None, b: Any = None, keepdims: bool = False, return_sign: bool = False) -> Any:
    """log(sum(exp(a))), shifted by the maximum; the shift is a constant to derivatives."""
    trace = traced.find_trace((a, b))
    a = traced.as_traced(trace, a)
    if b is not None:
        b = traced.as_traced(trace, b)
        shape = np.broadcast_shapes(a.shape, b.shape)
        a, b = traced.broadcast_to(a, shape), traced.broadcast_to(b, shape)
    top = traced.constant_part(reduce_max(a, axis, keepdims=True))
    top = ew("where", ew("isfinite", top), top, 0.0)
    terms = ew("exp", a - top)
    if b is not None:
        terms = terms * b
    folded = reduce_sum(terms, axis, keepdims=True)
    total = ew("log", abs(folded) if return_sign else folded) + top
    axes = range(len(a.shape)) if axis is None else [k % len(a.shape) for k in np.atleast_1d(axis)]

    def finished(x: Any) -> Any:
        x = x if keepdims else x.reshape([d for k, d in enumerate(x.shape) if k not in axes])
        return traced.scalar_of(x) if x.shape == () else x

    return (finished(total), finished(ew("sign", folded))) if return_sign else finished(total)


def softmax(x: Any, axis: Any = None) -> Any:
    e = ew("exp", x - traced.constant_part(reduce_max(x, axis, keepdims=True)))
    return e / reduce_sum(e, axis, keepdims=True)


def log_softmax(x: Any, axis: Any = None) -> Any:
    return x - logsumexp(x, axis, keepdims=True)


def lambertw(z: Any, k: int = 0, tol: float = 1e-8) -> Any:
    if k not in (0, -1):
        raise errors.NotDifferentiable(f"{traced.where_text()}scipy.special.lambertw(z, {k}) is complex: its real branches are 0 and -1")
    return TABLE["lambertw_0" if k == 0 else "lambertw_1"](z)


def zeta(x: Any, q: Any = None, out: Any = None) -> Any:
    return TABLE["zeta"](x, 1.0 if q is None else q)


def multigammaln(a: Any, d: int) -> Any:
    return 0.25 * d * (d - 1) * math.log(math.pi) + sum(ew("gammaln", a - 0.5 * k) for k in range(d))


def spherical(name: str) -> Callable[..., Any]:
    def of(n: Any, z: Any, derivative: bool = False) -> Any:
        row = TABLE[name]
        return row.partial(1, row(n, z), (n, z)) if derivative else row(n, z)

    return of


def derivative_of(name: str, sign: float) -> Callable[..., Any]:
    """The n-th derivative of a Bessel function by its argument, from its neighbours."""

    def of(v: Any, z: Any, n: int = 1) -> Any:
        if n == 0:
            return TABLE[name](v, z)
        step = of(v - 1, z, n - 1) + sign * of(v + 1, z, n - 1)
        return -0.5 * step if name == "kv" else 0.5 * step

    return of


REBOUND: dict[str, Callable[..., Any]] = {
    "logsumexp": logsumexp,
    "softmax": softmax,
    "log_softmax": log_softmax,
    "softplus": TABLE["softplus"],
    "lambertw": lambertw,
    "zeta": zeta,
    "polygamma": TABLE["polygamma"],
    "multigammaln": multigammaln,
    "comb": lambda N, k, **kw: TABLE["binom"](N, k),
    "factorial": lambda n, exact=False, **kw: TABLE["gamma"](n + 1.0),
    "jvp": derivative_of("jv", -1.0),
    "yvp": derivative_of("yv", -1.0),
    "ivp": derivative_of("iv", 1.0),
    "kvp": derivative_of("kv", 1.0),
    **{name: spherical(name) for name in ("spherical_jn", "spherical_yn", "spherical_in", "spherical_kn")},
}
