"""Draw psk's figures beside ProxyStore's as an SVG chart, legible on light and dark pages."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Any

from table import figure, ratio

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# As in docs/images/flow.svg.
FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'DejaVu Sans', Helvetica, Arial, sans-serif"
WIDTH = 860
LEFT, RIGHT = 30, WIDTH - 30
FIRST_BAR, STEP, BAR = 108, 32, 18
#: Where bars begin, and how long ProxyStore's are.
ZERO, WHOLE = 318, 296
#: Where the figures of psk and of ProxyStore end.
OUR_FIGURES, THEIR_FIGURES = 722, RIGHT
#: A bar is never shorter than what can be seen.
LEAST = 2.0
INK, GREY, TRACK, OURS, MISSED = "#1f2733", "#5b6472", "#d9dee6", "#2563eb", "#c2410c"


def draw(rows: Sequence[Mapping[str, Any]]) -> str:
    """Draw a bar per row, as long as its part of ProxyStore's; one that is longer than its track stands out.

    Args:
        rows: As of `Row.as_dict`, each with a ratio; `what` is shown beside its bar, up to some 38 characters.
    """
    height = FIRST_BAR + STEP * len(rows) + 12
    longest = max([1.0, *(row["ratio"] for row in rows)])
    size = f'viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}"'
    label = 'role="img" aria-labelledby="bench-title bench-description"'
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} {label} font-family="{escape(FONTS)}" font-size="14.5">',
        '  <title id="bench-title">psk beside ProxyStore</title>',
        f'  <desc id="bench-description">{escape(description(rows))}</desc>',
        "  <!-- a card of its own, so that the page behind may be light or dark -->",
        f'  <rect x="1" y="1" width="{WIDTH - 2}" height="{height - 2}" rx="14" fill="#ffffff" stroke="{TRACK}"/>',
        text(LEFT, 42, "psk beside ProxyStore", size=19, weight=600),
        text(
            LEFT,
            68,
            "Time, memory and bytes as parts of what ProxyStore takes, the grey bar: shorter is better",
            fill=GREY,
        ),
        text(ZERO, FIRST_BAR - 12, "psk / ProxyStore", fill=GREY, size=13),
        text(OUR_FIGURES, FIRST_BAR - 12, "psk", fill=OURS, size=13, weight=600, anchor="end"),
        text(THEIR_FIGURES, FIRST_BAR - 12, "ProxyStore", fill=GREY, size=13, anchor="end"),
    ]
    for index, row in enumerate(rows):
        lines += bar(row, FIRST_BAR + STEP * index, WHOLE / longest)
    return "\n".join([*lines, "</svg>", ""])


def bar(row: Mapping[str, Any], top: float, whole: float) -> list[str]:
    """Draw one row; `whole` is the length of ProxyStore's bar."""
    length = max(row["ratio"] * whole, LEAST)
    color = OURS if length <= whole else MISSED
    baseline = top + BAR - 4
    return [
        text(LEFT, baseline, row["what"].replace("`", "")),
        f'  <rect x="{ZERO}" y="{top}" width="{whole:.1f}" height="{BAR}" fill="{TRACK}"/>',
        f'  <rect x="{ZERO}" y="{top}" width="{length:.1f}" height="{BAR}" fill="{color}"/>',
        number(length, baseline, ratio(row["ratio"])),
        text(OUR_FIGURES, baseline, figure(row, "psk", spread=False), fill=OURS, weight=600, anchor="end"),
        text(THEIR_FIGURES, baseline, figure(row, "proxystore", spread=False), fill=GREY, anchor="end"),
    ]


def number(length: float, baseline: float, shown: str) -> str:
    """Write a ratio behind its bar, or at its end where there is no room behind."""
    if length < WHOLE - 60:
        return text(ZERO + length + 7, baseline, shown, size=13)
    return text(ZERO + length - 7, baseline, shown, size=13, fill="#ffffff", anchor="end")


def text(
    x: float, y: float, content: str, *, fill: str = INK, size: float = 0, weight: int = 0, anchor: str = ""
) -> str:
    options = {"font-size": size, "font-weight": weight, "text-anchor": anchor}
    changed = "".join(f' {option}="{value}"' for option, value in options.items() if value)
    return f'  <text x="{x:g}" y="{y:g}" fill="{fill}"{changed}>{escape(content)}</text>'


def description(rows: Sequence[Mapping[str, Any]]) -> str:
    """Say the same in words, for those who cannot see it."""
    return "; ".join(
        f"{row['what']}: {figure(row, 'psk', spread=False)}, with ProxyStore {figure(row, 'proxystore', spread=False)}"
        for row in rows
    )
