"""adcore as a user calls it: every call records f anew."""

import adcore

from ..problems import NAMES


def again(p):
    f = adcore.value_and_grad(p.fun, argnums=p.argnums)
    return lambda: f(*p.args)


MAKERS = dict.fromkeys(NAMES, again)
