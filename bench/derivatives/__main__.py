"""Print what derivatives beyond a first gradient cost, adcore's beside its peers', and what is asked for beside what was found.

Usage: ``python -m bench.derivatives [matrices calls loops] [--only hessian bundle] [--quick] [--json FILE]``. One thread,
repetitions interleaved, minima. ``ratio`` is the first row of a case over this one: below 1 adcore takes less. ``--quick`` ends within two
minutes; all of it takes a quarter of an hour.
"""

import argparse
import dataclasses
import importlib
import json
import pathlib

from bench import limit_threads

from . import BOUNDS

PARTS = ("matrices", "calls", "loops")


def number(x, scale, width, digits):
    return f"{'' if x is None else f'{scale * x:.{digits}f}':>{width}s}"


def report(rows):
    for row in rows:
        error = "" if row.error is None else f"{row.error:.1e}"
        print(f"{row.case:45s}{row.tool:21s}{number(row.first, 1e3, 11, 1)}{1e3 * row.best:12.4f}{rows[0].best / row.best:8.2f}"
              f"{error:>9s}{number(row.peak, 1e-6, 9, 0)}  {row.note}".rstrip(), flush=True)  # fmt: skip


def verdicts(rows):
    """Each bound whose row was measured: the bound, what was found, and whether it holds."""
    known = {(row.case, row.tool): row for row in rows}
    for bound in BOUNDS:
        row, peer = known.get((bound.case, bound.tool)), known.get((bound.case, bound.peer))
        if row is not None and (peer is not None or bound.peer is None):
            found = bound.scale * getattr(row, bound.what) / (getattr(peer, bound.what) if peer else 1.0)
            yield bound, found, "pass" if found <= bound.most else "FAIL"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="part", help=", ".join(PARTS), default=PARTS)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--only", nargs="*", default=[""], help="words in the names of cases")
    options = parser.parse_args()
    limit_threads()
    print(f"{'case':45s}{'tool':21s}{'first ms':>11s}{'best ms':>12s}{'ratio':>8s}{'error':>9s}{'peak MB':>9s}")
    rows = []
    for part in options.parts:
        for name, measure in importlib.import_module(f"bench.derivatives.{part}").cases(options.quick):
            if any(word in name for word in options.only):
                found = measure()
                report(found)
                rows += found
    marks = list(verdicts(rows))
    if marks:
        print(f"\n{'target':60s}{'found':>10s}{'at most':>10s}")
    for bound, found, mark in marks:
        print(f"{f'{bound.case}: {bound.text}':60s}{found:10.3g}{bound.most:10.3g}  {mark}")
    if options.json:
        targets = [{**dataclasses.asdict(bound), "found": found, "mark": mark} for bound, found, mark in marks]
        options.json.write_text(json.dumps({"rows": [dataclasses.asdict(row) for row in rows], "targets": targets}, indent=1))


if __name__ == "__main__":
    main()
