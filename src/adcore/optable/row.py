"""What the op table states of one op."""

from __future__ import annotations

import dataclasses

INF = float("inf")


@dataclasses.dataclass(frozen=True)
class Row:
    """An op: name, arguments, and what the field names say."""

    name: str
    args: tuple[str, ...]
    value: object = None
    partials: tuple = ()
    kind: str = "elementwise"
    boolean: bool = False
    commutative: bool = False
    ufunc: str | None = None
    domain: tuple = (-INF, INF)
    kinks: tuple = ()
    narrow: str | None = None
    block: str | None = None
    transpose: str = ""
    doc: str = ""
    missing: dict = dataclasses.field(default_factory=dict)
