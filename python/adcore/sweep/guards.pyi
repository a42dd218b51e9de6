from collections.abc import Callable, Iterable
from typing import Any, Protocol

FIXED: int
ATTRIBUTES: int
FUNCTION: int
CLASS: int
SAME: int
ABSENT: object
IMMUTABLE: tuple[type, ...]

class Look(Protocol):
    def look(self, value: Any, direct: bool) -> tuple[int, frozenset[str] | None, list[Any]] | None: ...
    def indirect(self, f: Any) -> None: ...

class Names:
    container: Any
    keys: Any
    unread: set[Any]
    by_identity: set[Any]
    def __init__(self, container: Any, keys: Any, unread: Iterable[Any] = ..., by_identity: Iterable[Any] = ...) -> None: ...

class Snapshot:
    def __init__(
        self,
        look: Look | None = ...,
        found: Callable[[Any], None] | None = ...,
        plain: Callable[[Any, Any, Any], Any] = ...,
    ) -> None: ...
    def __len__(self) -> int: ...
    def add(self, value: Any) -> int: ...
    def holds(self) -> bool: ...

class Token:
    def __init__(self, value: Any, found: Callable[[Any], None] | None = ...) -> None: ...
    def holds(self, value: Any) -> bool: ...
