"""Bundle adjustment: reprojection residuals, all observations at once.

The wanted Jacobian has one 2x15 block (camera 11, point 3, weight 1) for each observation: the gradients of the sums of
the two residual components with respect to the parameters of each observation are its rows.
"""

import numpy as np

from . import DATA, Problem, numbers


def residuals(cams, X, w, feats):
    """Residuals [2][n] of n observations with parameters of their own: cams [n, 11], X [n, 3], w [n]."""
    r, C, f, principal, k = cams[:, :3], cams[:, 3:6], cams[:, 6], cams[:, 7:9], cams[:, 9:11]
    p = X - C
    square = r[:, 0] ** 2 + r[:, 1] ** 2 + r[:, 2] ** 2
    still = square == 0.0
    theta = np.sqrt(np.where(still, 1.0, square))
    c, s = np.cos(theta), np.sin(theta)
    a1, a2, a3 = r[:, 0] / theta, r[:, 1] / theta, r[:, 2] / theta
    p1, p2, p3 = p[:, 0], p[:, 1], p[:, 2]
    dot = (a1 * p1 + a2 * p2 + a3 * p3) * (1.0 - c)
    y1 = np.where(still, p1 + r[:, 1] * p3 - r[:, 2] * p2, p1 * c + (a2 * p3 - a3 * p2) * s + a1 * dot)
    y2 = np.where(still, p2 + r[:, 2] * p1 - r[:, 0] * p3, p2 * c + (a3 * p1 - a1 * p3) * s + a2 * dot)
    y3 = np.where(still, p3 + r[:, 0] * p2 - r[:, 1] * p1, p3 * c + (a1 * p2 - a2 * p1) * s + a3 * dot)
    u, v = y1 / y3, y2 / y3
    radius = u * u + v * v
    scale = (1.0 + k[:, 0] * radius + k[:, 1] * radius * radius) * f
    return w * (u * scale + principal[:, 0] - feats[:, 0]), w * (v * scale + principal[:, 1] - feats[:, 1])


def fun(cams, X, w, feats):
    """Sum of the first components: its gradient is the first row of every block."""
    return np.sum(residuals(cams, X, w, feats)[0])


def reference(cams, X, w, feats, row=0):
    """The first rows, or the second, by the complex step: exact to rounding, one evaluation a column."""
    step = 1e-30
    out = []
    for k, arg in enumerate((cams, X, w)):
        g = np.empty_like(arg)
        columns = arg.shape[1] if arg.ndim == 2 else 1
        for j in range(columns):
            args = [cams.astype(complex), X.astype(complex), w.astype(complex)]
            target = args[k][:, j] if arg.ndim == 2 else args[k]
            target += 1j * step
            value = residuals(*args, feats)[row].imag / step
            if arg.ndim == 2:
                g[:, j] = value
            else:
                g[:] = value
        out.append(g)
    return tuple(out)


def read(path):
    it = numbers(path)
    n, m, p = (int(next(it)) for _ in range(3))
    values = [float(v) for v in it]
    return n, m, p, np.array(values[:11]), np.array(values[11:14]), values[14], np.array(values[15:17])


def instance(size=None):
    path = DATA / "adbench" / "ba1_n49_m7776_p31843.txt"
    rng = np.random.default_rng(0)
    if path.exists():
        _, _, p, cam, X, w, feat = read(path)
    else:
        p, w = 31843, 0.4
        cam = np.array([-0.8, -1.1, -0.8, 34.0, 39.0, 53.0, 419.0, 5.0, -8.0, 0.08, 0.003])
        X, feat = np.array([7.0, 0.001, 3.0]), np.array([271.0, 834.0])
    p = int(size or p)
    jitter = lambda a: a * (1 + 1e-3 * rng.normal(size=(p, *np.shape(a))))  # noqa: E731
    args = (jitter(cam), jitter(X), jitter(w), jitter(feat))
    return Problem("ba", str(p), fun, args, (0, 1, 2), reference)
