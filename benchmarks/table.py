"""Print tables that are legible in a terminal and in Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What `cells` gives.
HEADER = ("measured", "psk", "ProxyStore", "Ray", "ratio", "target", "met")
LEAST_RATIO = 0.0001
FEWER_DIGITS_FROM = 10


def results_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lay out rows of results (as of `Row.as_dict`), without a column for a library that was not there."""
    lines = [HEADER, *map(cells, rows)]
    shown = [index for index, column in enumerate(zip(*lines, strict=True)) if index == 0 or any(column[1:])]
    header, *rest = [tuple(line[index] for index in shown) for line in lines]
    return markdown(header, rest)


def cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the texts of one row of results."""
    target = ""
    if row["target_ratio"] is not None:
        target = f"<= {row['target_ratio']:g}x"
    elif row["target"] is not None:
        target = f"<= {row['target']:g} {row['unit']}"
    met = {None: "", True: "yes", False: "NO"}[row["met"]]
    figures = (figure(row, library) for library in ("psk", "proxystore", "ray"))
    return row["what"], *figures, ratio(row["ratio"]), target, met


def figure(row: Mapping[str, Any], library: str, *, spread: bool = True) -> str:
    """Return a library's median with its unit, and half the distance of its quartiles if it has several samples."""
    summary, digits = row[library], row["digits"]
    if summary is None:
        return ""
    if summary["median"] >= FEWER_DIGITS_FROM:
        digits = min(digits, 1)
    shown = f"{summary['median']:,.{digits}f} {row['unit']}"
    if not spread or row["unit"] == "bytes" or summary["samples"] == 1:
        return shown
    return f"{shown} ± {(summary['upper_quartile'] - summary['lower_quartile']) / 2:,.{digits}f}"


def ratio(value: float | None) -> str:
    """Return a ratio with two decimal places, or with more if its first digits come later."""
    if value is None:
        return ""
    if value < LEAST_RATIO:
        return f"<{LEAST_RATIO:f}".rstrip("0")
    places = 2 if value >= 0.1 else 3 if value >= 0.01 else 4
    return f"{value:.{places}f}"


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table with aligned columns: the first to the left, the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    rule = [":" + "-" * (widths[0] - 1), *("-" * (width - 1) + ":" for width in widths[1:])]
    lines = [header, rule, *rows]
    return "\n".join(
        "| " + " | ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) + " |" for line in lines
    )
