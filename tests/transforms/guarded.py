"""What test_guards.py reads from another module: each of its names may change between two calls."""

import numpy as np

CONSTANT = 2.0
ARRAY = np.ones(3)
TABLE = {"a": 1.0, "of": [2.0]}


def by_constant(x):
    return x * CONSTANT


def through(x):
    return by_constant(x)


class Kind:
    """A class whose attributes, methods and properties may change."""

    factor = 2.0
    array = np.ones(3)
    table = {"q": 2.0}  # noqa: RUF012  what changes in place is the subject here

    def __init__(self):
        self.own = 2.0

    def method(self, x):
        return x * self.factor * self.own

    @property
    def both(self):
        return self.factor * CONSTANT

    @classmethod
    def of_class(cls, x):
        return x * cls.factor

    @staticmethod
    def static(x):
        return x * CONSTANT

    def __call__(self, x):
        return np.sum(x**2 * self.own * self.factor)


class Derived(Kind):
    pass


class Meta(type):
    of_meta = 2.0


class WithMeta(metaclass=Meta):
    pass


class Slots:
    __slots__ = ("v",)


OBJECT = Kind()
