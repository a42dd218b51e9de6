"""Views of a recorded program: its text, where its time goes, and what its memory holds."""

from __future__ import annotations

import dataclasses
import linecache
import os
import sys
import tracemalloc
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from . import config, errors
from .sweep import engine

MODES = ("value", "gradient")
KINDS = {"blocks": "fused group", "scalars": "scalar run", "matmul": "product", "call": "call"}


class Lines:
    """Finds the user's line of what is being recorded, as an index into ``sources``."""

    def __init__(self) -> None:
        self.sources: list[tuple[str, int, str]] = []
        self.paths: dict[tuple[str, int], str] = {}
        self._known: dict[tuple[str, int], int] = {}

    def __call__(self) -> int:
        frame = sys._getframe(1)
        while errors.of_library(frame):
            if frame.f_back is None:
                return -1
            frame = frame.f_back
        code, number = frame.f_code, frame.f_lineno
        found = self._known.get((code.co_filename, number))
        if found is None:
            found = self._known[code.co_filename, number] = len(self.sources)
            name = os.path.basename(code.co_filename)
            self.sources.append((name, number, code.co_name))
            self.paths[name, number] = code.co_filename
        return found

    def text(self, place: tuple[str, int]) -> str:
        """The source of a line, without its indentation."""
        return linecache.getline(self.paths.get(place, ""), place[1]).strip()


def counted(n: float, unit: str) -> str:
    """A number with a decimal prefix: ``1.6 MB``."""
    for prefix in ("", "k", "M", "G"):
        if n < 1000 or prefix == "G":
            break
        n /= 1000
    return f"{n:.3g} {prefix}{unit}"


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Columns as wide as they must be; the last is flush left, the others right."""
    lines = [head, *rows]
    widths = [max(len(row[k]) for row in lines) for k in range(len(head) - 1)]
    return "\n".join("  ".join([*(c.rjust(w) for c, w in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in lines)


@dataclasses.dataclass
class StepTime:
    """One step of a plan: what it is, how long it took, what it moved and computed, and the lines it comes from."""

    kind: str
    seconds: float
    bytes: int
    flops: int
    parts: int
    places: dict[tuple[str, int], int]


@dataclasses.dataclass
class Profile:
    """Seconds of each step, and of each line of the user's: a step's time is shared by its instructions."""

    mode: str
    threads: int
    steps: list[StepTime]
    lines: dict[tuple[str, int], float]
    text: Callable[[tuple[str, int]], str]

    @property
    def seconds(self) -> float:
        return sum(step.seconds for step in self.steps)

    def __str__(self) -> str:
        total = self.seconds or 1.0
        rows = []
        for step in sorted(self.steps, key=lambda step: -step.seconds):
            s = step.seconds or 1e-12
            places = sorted(step.places, key=lambda p: -step.places[p])
            where = ", ".join(f"{name}:{line}" for name, line in places[:4]) + (" ..." if len(places) > 4 else "")
            rows.append(
                (
                    f"{1e6 * step.seconds:.1f}",
                    f"{100 * step.seconds / total:.0f}%",
                    KINDS.get(step.kind, step.kind),
                    str(step.parts),
                    counted(step.bytes, "B"),
                    f"{step.bytes / s / 1e9:.2f}",
                    f"{step.flops / s / 1e9:.2f}",
                    where,
                )
            )
        shown = rows[:20]
        text = f"{self.mode}: {1e3 * self.seconds:.4g} ms in {len(self.steps)} steps, at most {self.threads} threads\n\n"
        text += table(("us", "share", "step", "parts", "moved", "GB/s", "Gop/s", "lines"), shown)
        if len(rows) > len(shown):
            text += f"\n... and {len(rows) - len(shown)} shorter steps"
        by_line = sorted(self.lines.items(), key=lambda item: -item[1])[:20]
        text += "\n\n" + table(
            ("us", "share", "line", "source"),
            [
                (f"{1e6 * seconds:.1f}", f"{100 * seconds / total:.0f}%", f"{place[0]}:{place[1]}", self.text(place))
                for place, seconds in by_line
            ],
        )
        return text


@dataclasses.dataclass
class Held:
    """A value in the arena when it is fullest."""

    value: int
    op: str
    shape: tuple[int, ...]
    dtype: str
    bytes: int
    place: tuple[str, int] | None


@dataclasses.dataclass
class MemoryReport:
    """The arena of a plan, what is alive in it at its fullest, and what the plain function needs."""

    mode: str
    arena: int
    peak: int
    values: list[Held]
    bound: int
    results: int
    primal_arena: int
    plain: int | None
    text: Callable[[tuple[str, int]], str]

    def __str__(self) -> str:
        text = f"{self.mode}: arena {counted(self.arena, 'B')}, of which {counted(self.peak, 'B')} is alive at the peak\n"
        text += f"inputs {counted(self.bound, 'B')}, results {counted(self.results, 'B')}; "
        text += f"arena of the value alone {counted(self.primal_arena, 'B')}"
        if self.plain:
            ratio = (self.arena + self.results) / self.plain
            text += f"\nplain NumPy allocates {counted(self.plain, 'B')} at its peak: arena and results are {ratio:.2g} times that"
        if self.values:
            rows = []
            for held in self.values[:20]:
                shape = f"{held.dtype}[{','.join(map(str, held.shape))}]"
                where = f"{held.place[0]}:{held.place[1]}  {self.text(held.place)}" if held.place else "(no line)"
                rows.append((counted(held.bytes, "B"), f"%{held.value}", held.op.lower(), shape, where))
            text += "\n\nalive at the peak\n" + table(("size", "value", "op", "shape", "line"), rows)
            if len(self.values) > 20:
                text += f"\n... and {len(self.values) - 20} smaller ones"
        return text


class View:
    """What ``adcore.trace`` returns: a recorded program that prints itself, one instruction a line.

    Attributes
    ----------
    program : Program
        The recorded program.
    """

    def __init__(self, recording: Any, lines: Lines, plain: Callable[[], Any]) -> None:
        self.program: Any = recording.trace.tape
        self._recording = recording
        self._lines = lines
        self._plain = plain

    def __str__(self) -> str:
        return str(self.program)

    def __len__(self) -> int:
        return len(self.program)

    def __eq__(self, other: object) -> bool:
        return bool(self.program == (other.program if isinstance(other, View) else other))

    def __hash__(self) -> int:
        return hash(self.program)

    def __getattr__(self, name: str) -> Any:
        if name == "program" or name.startswith("__"):
            raise AttributeError(name)
        return getattr(self.program, name)

    def _derived(self, mode: str) -> Any:
        if mode not in MODES:
            raise errors.ArgumentError(f"mode={mode!r}: give one of {', '.join(MODES)}")
        if mode == "value":
            return engine.derived(self.program, mode, ())[0]
        outputs = self.program.outputs
        if len(outputs) != 1 or self.program.instruction(outputs[0])["shape"] != ():
            raise errors.ArgumentError("the gradient is that of a function with one scalar result; this one has another: use mode='value'")
        return engine.derived(self.program, mode, self._recording.wrt)[0]

    def _place(self, program: Any, value: int) -> tuple[str, int] | None:
        found = program.source(value)
        return None if found is None else (found[0], found[1])

    def profile(self, mode: str = "value", repeat: int = 5) -> Profile:
        """Where the time of a sweep goes: by step, and by line of f.

        Parameters
        ----------
        mode : {"value", "gradient"}
            The program of f, or that of its value and gradient.
        repeat : int
            Sweeps; the shortest time of each step counts.

        Returns
        -------
        Profile
            Prints as two tables. ``moved`` counts each element once, so GB/s is what the step achieves of memory's
            bandwidth when its arrays are larger than the caches; ``Gop/s`` counts operations on elements.

        Examples
        --------
        >>> import numpy as np, adcore
        >>> p = adcore.trace(lambda x: np.sum(np.sin(x) * x), np.ones(1000)).profile("gradient")
        >>> p.mode, len(p.steps) > 0, p.seconds > 0
        ('gradient', True, True)
        """
        program, plan, values = engine.explained(self._derived(mode))
        trace = self._recording.trace
        times = np.min([engine.timed(plan, trace.inputs, trace.consts, trace.scalars) for _ in range(max(repeat, 1) + 1)], axis=0)
        members: dict[int, dict[tuple[str, int], int]] = {}
        for value, (group, *_) in enumerate(values):
            place = self._place(program, value)
            if group >= 0 and place is not None:
                counts = members.setdefault(group, {})
                counts[place] = counts.get(place, 0) + 1
        steps = [
            StepTime(s["kind"], float(t), s["bytes"], s["flops"], s["parts"], members.get(s["group"], {}))
            for s, t in zip(plan.steps_as_dicts(), times, strict=True)
        ]
        lines: dict[tuple[str, int], float] = {}
        for step in steps:
            n = sum(step.places.values())
            for place, count in step.places.items():
                lines[place] = lines.get(place, 0.0) + step.seconds * count / n
        return Profile(mode, config.threads(), steps, lines, self._lines.text)

    def memory_report(self, mode: str = "gradient", plain: bool = True) -> MemoryReport:
        """What a sweep needs memory for.

        Parameters
        ----------
        mode : {"value", "gradient"}
            The program of f, or that of its value and gradient.
        plain : bool
            Also run f itself, on the arguments given to ``trace``, to see what NumPy allocates.

        Returns
        -------
        MemoryReport
            Prints as text: the arena, the values in it when it is fullest with the lines that made them,
            and the peak of the plain function.

        Examples
        --------
        >>> import numpy as np, adcore
        >>> report = adcore.trace(lambda x: np.sum(np.cumsum(np.sin(x)) ** 2), np.ones(1000)).memory_report()
        >>> report.peak <= report.arena, max(held.bytes for held in report.values)
        (True, 8000)
        """
        program, plan, values = engine.explained(self._derived(mode))
        peak, alive = 0, []
        ends = sorted({group for group, _, _, size in values if size})
        for now in ends:
            here = {offset: k for k, (first, last, offset, size) in enumerate(values) if size and first <= now <= last}
            total = sum(values[k][3] for k in here.values())
            if total > peak:
                peak, alive = total, list(here.values())
        held = []
        for k in sorted(alive, key=lambda k: -values[k][3]):
            row = program.instruction(k)
            held.append(Held(k, row["op"], row["shape"], row["dtype"], values[k][3], self._place(program, k)))
        primal = plan if mode == "value" else engine.explained(self._derived("value"))[1]
        trace = self._recording.trace
        bound = sum(x.nbytes for x in (*trace.inputs, *trace.consts))
        results = sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for shape, dtype in plan.result_specs)
        return MemoryReport(
            mode, plan.arena_bytes, peak, held, bound, results, primal.arena_bytes, self._numpy_peak() if plain else None, self._lines.text
        )

    def _numpy_peak(self) -> int | None:
        """Bytes that the plain function allocates at its peak; None when somebody measures already."""
        if tracemalloc.is_tracing():
            return None
        tracemalloc.start()
        try:
            before = tracemalloc.get_traced_memory()[0]
            self._plain()
            return tracemalloc.get_traced_memory()[1] - before
        finally:
            tracemalloc.stop()
