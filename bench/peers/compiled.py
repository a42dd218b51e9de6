"""adcore.compile: the recording is replayed."""

import adcore

from ..problems import NAMES, ba_blocks


def replayed(p):
    f = adcore.compile(adcore.value_and_grad(p.fun, argnums=p.argnums))
    return lambda: f(*p.args)


def blocks(p):
    """The gradients of both components in one program."""
    f = adcore.compile(lambda *args: [adcore.value_and_grad(row, argnums=p.argnums)(*args[:3]) for row in ba_blocks.components(*args)])

    def call():
        (first, upper), (second, lower) = f(*p.args)
        return (first, second), (*upper, *lower)

    return call


MAKERS = dict.fromkeys(NAMES, replayed) | {"ba_blocks": blocks}
