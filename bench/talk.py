"""The study of "When unsafe code is slow: Automatic Differentiation in Rust", made again for adcore.

Usage: ``python bench/talk.py [--quick] [--out bench/results/talk] [--sections toggles peers ...]``. Writes ``talk.json``, a PNG for each
section, and ``talk.html``, a page that needs nothing else. ``--quick`` ends within ten minutes.
"""

import argparse
import base64
import datetime
import html
import importlib
import json
import os
import pathlib
import platform
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
SECTIONS = ("toggles", "parity", "peers", "order", "storage", "compiling")

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 14px; margin: 1em 0 } th, td { padding: .25em .7em; text-align: right }
th { border-bottom: 2px solid #888; font-weight: 600; vertical-align: bottom } td { border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } img { max-width: 100% } h2 { margin-top: 2em }
"""


def limit_threads():
    """Before NumPy is imported: one thread in every tool, but where a section asks for more."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"
    os.environ["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"


def shown(cell):
    if cell is None:
        return ""
    if isinstance(cell, float):
        return f"{cell:.3g}" if abs(cell) < 1000 else f"{cell:.0f}"
    return str(cell)


def as_text(section):
    rows = [list(section.columns), *[[shown(c) for c in row] for row in section.rows]]
    widths = [max(len(r[k]) for r in rows) for k in range(len(section.columns))]
    lines = ["  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(r, widths, strict=True))) for r in rows]
    return "\n".join([f"== {section.title}", *lines, ""])


def draw(section, path):
    """Grouped bars: a group a problem, a colour a label."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = list(dict.fromkeys(label for group in section.bars.values() for label in group))
    figure, axis = plt.subplots(figsize=(max(8, 0.32 * len(labels) * len(section.bars)), 4), layout="constrained")
    width = 0.85 / len(labels)
    colours = plt.get_cmap("tab20").colors
    for k, label in enumerate(labels):
        at = [(i, group[label]) for i, group in enumerate(section.bars.values()) if label in group]
        axis.bar([i + (k - (len(labels) - 1) / 2) * width for i, _ in at], [v for _, v in at], width, label=label, color=colours[k % 20])
    axis.set_xticks(range(len(section.bars)), list(section.bars))
    axis.set_ylabel(section.unit)
    if section.log:
        axis.set_yscale("log")
    axis.grid(axis="y", alpha=0.3)
    axis.legend(fontsize=8, ncols=2)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def page(sections, pictures, about):
    parts = [f"<h1>When unsafe code is slow: the study for adcore</h1><p>{html.escape(about)}</p>"]
    for section in sections:
        head = "".join(f"<th>{html.escape(c)}</th>" for c in section.columns)
        body = "".join("<tr>" + "".join(f"<td>{html.escape(shown(c))}</td>" for c in row) + "</tr>" for row in section.rows)
        parts.append(f"<h2>{html.escape(section.title)}</h2><p>{html.escape(section.text)}</p>")
        if section.name in pictures:
            data = base64.b64encode(pictures[section.name].read_bytes()).decode()
            parts.append(f'<img alt="{html.escape(section.title)}" src="data:image/png;base64,{data}">')
        parts.append(f"<table><tr>{head}</tr>{body}</table>")
    return (
        f"<!doctype html><html lang=en><meta charset=utf-8><title>adcore: the study</title><style>{STYLE}</style>{''.join(parts)}</html>\n"
    )


def processor():
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--out", type=pathlib.Path, default=ROOT / "bench" / "results" / "talk")
    parser.add_argument("--sections", nargs="*", choices=SECTIONS, default=SECTIONS)
    options = parser.parse_args()
    limit_threads()
    options.out.mkdir(parents=True, exist_ok=True)
    sections, pictures = [], {}
    start = time.perf_counter()
    for name in options.sections:
        section = importlib.import_module(f"bench.study.{name}").run(options.quick)
        sections.append(section)
        print(as_text(section), flush=True)
        if section.bars:
            pictures[name] = options.out / f"{name}.png"
            draw(section, pictures[name])
    kind, seconds = "quick" if options.quick else "full", time.perf_counter() - start
    about = (
        f"{processor()}, {os.cpu_count()} cores, Python {platform.python_version()}, {datetime.date.today()}, {kind} run of "
        f"{seconds:.0f} s. Read ratios: the machine may be shared."
    )
    (options.out / "talk.html").write_text(page(sections, pictures, about))
    tables = {s.name: {"title": s.title, "columns": list(s.columns), "rows": s.rows, "bars": s.bars, "unit": s.unit} for s in sections}
    (options.out / "talk.json").write_text(json.dumps({"about": about, "sections": tables}, indent=1))
    print(f"{options.out / 'talk.html'}: {about}")


if __name__ == "__main__":
    main()
