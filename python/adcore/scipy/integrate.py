"""scipy.integrate with adcore's derivatives."""

from ..integrations.integrate import cumulative_simpson, cumulative_trapezoid, odeint, quad, simpson, solve_ivp, trapezoid

__all__ = ["cumulative_simpson", "cumulative_trapezoid", "odeint", "quad", "simpson", "solve_ivp", "trapezoid"]
