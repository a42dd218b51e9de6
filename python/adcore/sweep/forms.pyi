from collections.abc import Sequence
from typing import Any

class Taken:
    leaves: list[Any]
    shadows: list[Any]
    places: list[tuple[Any, Any] | None]
    def __init__(
        self, leaves: Sequence[Any] = ..., shadows: Sequence[Any] = ..., places: Sequence[tuple[Any, Any] | None] = ...
    ) -> None: ...
    def write(self, contents: tuple[Any, ...], adds: bytes, targets: list[Any], values: list[Any]) -> None: ...

class Form:
    def __init__(
        self, primals: Sequence[Any], counts: Sequence[int], active: Sequence[bool], leads: Sequence[int], reverse: bool
    ) -> None: ...
    def taken(self, args: tuple[Any, ...], overlaps: bool) -> Taken | None: ...
