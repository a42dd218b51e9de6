from typing import Any

import numpy as np

MOST_ARGUMENTS: int

def call(native: tuple[int, int, int, int, int], y: np.ndarray[Any, Any], arrays: list[Any]) -> int: ...
def capsule(it: Any) -> tuple[int, str] | None: ...
