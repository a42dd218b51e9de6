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

from bench import THREADS, limit_threads  # noqa: E402  found by the path

SECTIONS = ("toggles", "parity", "peers", "order", "storage", "compiling")

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 70em; margin: 2em auto; padding: 0 1em; color: #222 }
table { border-collapse: collapse; font-size: 14px; margin: 1em 0 } th, td { padding: .25em .7em; text-align: right }
th { border-bottom: 2px solid #888; font-weight: 600; vertical-align: bottom } td { border-bottom: 1px solid #ddd }
th:first-child, td:first-child { text-align: left } img { max-width: 100% } h2 { margin-top: 2em }
"""


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
    """Bars, and a line at ``base`` where they start there: a group a problem and a colour a label, or a panel a problem."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    labels = list(dict.fromkeys(label for group in section.bars.values() for label in group))
    figure = (panels if len(labels) > GROUPED_MAX else grouped)(section, labels, plt)
    figure.suptitle(section.title)
    figure.savefig(path, dpi=110)
    plt.close(figure)


GROUPED_MAX = 3  # labels that colours and a legend tell apart


def grouped(section, labels, plt):
    figure, axis = plt.subplots(figsize=(9, 4.2), layout="constrained")
    colours = dict(zip(labels, plt.get_cmap("tab10").colors, strict=False))
    width = 0.85 / max(map(len, section.bars.values()))
    for at, group in enumerate(section.bars.values()):
        for k, (label, value) in enumerate(group.items()):
            place = at + (k - (len(group) - 1) / 2) * width
            axis.bar(place, value - section.base, 0.95 * width, section.base, color=colours[label])
            up = value >= section.base
            axis.annotate(f"{value:.3g}", (place, value), (0, 2 if up else -2), textcoords="offset points", ha="center",
                          va="bottom" if up else "top", fontsize=8)  # fmt: skip
    axis.set_xticks(range(len(section.bars)), list(section.bars))
    axis.set_ylabel(section.unit)
    scaled(section, axis.yaxis, axis.set_yscale)
    if section.base:
        axis.axhline(section.base, color="black", linewidth=0.8)
    axis.grid(axis="y", alpha=0.3)
    axis.margins(y=0.12)
    handles = [plt.Rectangle((0, 0), 1, 1, color=colours[label]) for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def panels(section, labels, plt):
    columns = 3
    lines = -(-len(section.bars) // columns)
    size = (12, lines * (0.9 + 0.2 * len(labels)))
    # ratios are compared across panels, times are not
    figure, axes = plt.subplots(lines, columns, figsize=size, sharex=section.base > 0, sharey=True, layout="constrained", squeeze=False)
    for axis, (name, group) in zip(axes.flat, section.bars.items(), strict=False):
        known = [(k, group[label]) for k, label in enumerate(labels) if label in group]
        values = [value for _, value in known]
        axis.barh([k for k, _ in known], [value - section.base for value in values], 0.8, section.base)
        for k, value in known:
            axis.annotate(f"{value:.3g}", (max(value, section.base), k), (3, 0), textcoords="offset points", va="center", fontsize=7)
        axis.set_title(name, fontsize=10)
        if section.base:
            axis.axvline(section.base, color="black", linewidth=0.8)
        axis.grid(axis="x", alpha=0.3)
        axis.margins(x=0.2)
        axis.set_yticks(range(len(labels)), labels, fontsize=8)
    axes[0, 0].invert_yaxis()  # shared: the first label on top
    for k, axis in enumerate(axes.flat):
        axis.set_visible(k < len(section.bars))
        scaled(section, axis.xaxis, axis.set_xscale)
    figure.supxlabel(section.unit, fontsize=10)
    return figure


def scaled(section, axis, set_scale):
    """Plain numbers along a logarithmic axis."""
    if section.log:
        import matplotlib.ticker

        set_scale("log")
        low, high = axis.get_view_interval()
        axis.set_major_locator(matplotlib.ticker.LogLocator(subs=(1.0, 2.0, 5.0) if high < 300 * low else (1.0,)))
        axis.set_major_formatter("{x:g}")
        axis.set_minor_formatter(matplotlib.ticker.NullFormatter())


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
    limit_threads(names=THREADS[:3])  # adcore's sections say how many it takes
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
