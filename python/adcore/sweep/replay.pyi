from collections.abc import Callable
from typing import Any

class Node: ...

class Branch(Node):
    def __init__(self, tree: Any, nodes: list[Node], found: Callable[[Any], None] | None = ...) -> None: ...

class Leaf(Node):
    ordered: bool
    def __init__(self, value: Any, input_: int, number: int, found: Callable[[Any], None] | None = ...) -> None: ...
    def in_any_order(self) -> None: ...

def is_bound(x: Any) -> bool: ...
def is_static(tree: Any) -> bool: ...

class Replay:
    structure: Any
    def __init__(
        self,
        plan: Any,
        consts: list[Any],
        scalars: list[float],
        arguments: Node,
        n_leaves: int,
        structure: Any,
        guards: list[Any],
        surroundings: Any,
        template: Any,
        written: list[tuple[int, int]],
    ) -> None: ...
    def holds(self) -> bool: ...
    def answer(self, args: tuple[Any, ...], kwargs: dict[str, Any], first: bool = ...) -> Any: ...

class Slot:
    def __init__(self, position: int, scalar: bool, pairs: bool = ...) -> None: ...

class Caller:
    @property
    def _replays(self) -> dict[Any, list[Replay]]: ...
    def __call__(self, *args: Any, **kwargs: Any) -> Any: ...
