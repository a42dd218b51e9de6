from typing import Any

class Replay:
    def __init__(
        self,
        plan: Any,
        consts: list[Any],
        scalars: list[float],
        leaves: list[Any],
        guards: list[Any],
        surroundings: Any,
        template: Any,
        slot: type,
        written: list[tuple[int, int]],
    ) -> None: ...
    def holds(self) -> bool: ...
    def __call__(self, given: list[Any], first: bool = ...) -> Any: ...
