"""Draw throughput and latency over the size of objects, with matplotlib."""

from __future__ import annotations

import os
from itertools import cycle
from typing import TYPE_CHECKING, Any

from psk.cli import bytes_text, seconds_text
from psk.errors import UsageError
from psk_bench.sizes import size_text
from psk_bench.sweep import GET, PUT

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk_bench.sweep import Series

# Colours that everybody can tell apart: Okabe and Ito, "Color Universal Design", 2008.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
INCHES = (10.5, 8.0)


def check_plot(path: str) -> None:
    """Make sure that a picture can be drawn, before anything is measured.

    Raises:
        UsageError: There is no matplotlib, it writes no such files, or there is no such directory.
    """
    try:
        from matplotlib.backend_bases import FigureCanvasBase
    except ImportError as error:
        raise UsageError(
            f"--plot needs matplotlib, which cannot be imported here: {error}", remedy="pip install matplotlib"
        ) from error
    known = FigureCanvasBase.get_supported_filetypes()
    if path.rpartition(".")[2].lower() not in known:
        raise UsageError(f"no picture can be written to {path}", found=known, remedy="name it .png or .svg")
    folder = os.path.dirname(path) or "."  # noqa: PTH120  pathlib costs 10 ms of import
    if not os.path.isdir(folder):  # noqa: PTH112  as above
        raise UsageError(f"there is no directory {folder} for the picture", remedy="make it first")


def draw(series: Sequence[Series], path: str) -> None:
    """Draw throughput and latency of each channel over the size, and write the picture.

    Raises:
        OSError: It cannot be written.
    """
    from matplotlib.figure import Figure  # without pyplot, which would ask for a display

    figure = Figure(figsize=INCHES, layout="constrained")
    rows = figure.subplots(2, 2, sharex=True, sharey="row")
    colours = dict(zip(dict.fromkeys(one.label for one in series), cycle(COLOURS), strict=False))
    for operation, throughput, latency in zip((PUT, GET), *rows, strict=True):
        throughput.set_title(operation)
        for label, colour in colours.items():
            line = [one for one in series if (one.label, one.operation) == (label, operation)]
            if line:
                _draw(line, throughput, latency, {"color": colour, "label": label})
    _finish(rows[0], "throughput", lambda value, _: f"{_short(bytes_text(value))}/s")
    _finish(rows[1], "latency: median, and up to p99", lambda value, _: _short(seconds_text(value)))
    for axes in rows[1]:
        axes.set_xlabel("size of the object")
        axes.xaxis.set_major_formatter(lambda value, _: size_text(round(value)))
    rows[0][0].legend(frameon=False)
    figure.savefig(path, dpi=150)


def _draw(line: Sequence[Series], throughput: Any, latency: Any, style: dict[str, str]) -> None:
    sizes = [one.nbytes for one in line]
    medians, slow = ([one.percentile(percent) for one in line] for percent in (50, 99))
    throughput.plot(sizes, [one.throughput for one in line], marker="o", **style)
    latency.plot(sizes, medians, marker="o", **style)
    latency.fill_between(sizes, medians, slow, color=style["color"], alpha=0.15, linewidth=0)


def _finish(row: Any, title: str, text: Callable[[float, int | None], str]) -> None:
    row[0].set_ylabel(title)
    for axes in row:
        axes.set_xscale("log")
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(text)
        axes.grid(which="major", alpha=0.3)


def _short(text: str) -> str:
    """Write a number without the zeros behind its point, as in `10 ms`."""
    number, _, unit = text.partition(" ")
    return f"{float(number):g} {unit}"
