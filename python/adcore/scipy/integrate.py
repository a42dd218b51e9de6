"""scipy.integrate with adcore's derivatives."""

import sys

from ..front import namespaces
from ..integrations.integrate import cumulative_simpson, cumulative_trapezoid, odeint, quad, simpson, solve_ivp, trapezoid

__all__ = ["cumulative_simpson", "cumulative_trapezoid", "odeint", "quad", "simpson", "solve_ivp", "trapezoid"]

__getattr__, __dir__ = namespaces.of_scipy(sys.modules[__name__], "scipy.integrate")
