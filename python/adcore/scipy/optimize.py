"""scipy.optimize with adcore's derivatives."""

from ..integrations.optimize import curve_fit, least_squares, minimize, root

__all__ = ["curve_fit", "least_squares", "minimize", "root"]
