"""Draw throughputs as bars over a logarithmic axis, 80 columns wide."""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING

from psk.cli import bytes_text
from psk_bench.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk_bench.sweep import Series

WIDTH = 80
FIGURES = 10
"""Columns for `1.23 GB/s` behind a bar."""

_EIGHTHS = ("", "▏", "▎", "▍", "▌", "▋", "▊", "▉")


def chart(series: Sequence[Series], title: str, *, blocks: bool = True) -> Iterator[str]:
    """Draw one bar per series, in the order given.

    Args:
        series: At least one, with times.
        title: The line above the bars.
        blocks: Whether the terminal can show block characters; ASCII otherwise.
    """
    several = len({one.label for one in series}) > 1
    names = _names(series, several=several)
    left = max(map(len, names)) + 1
    room = WIDTH - left - FIGURES - 1
    rates = [one.throughput for one in series]
    low, high = floor(log10(min(rates))), ceil(log10(max(rates)))
    high = max(high, low + 1)
    yield title
    last = None
    for one, name, rate in zip(series, names, rates, strict=True):
        if several and last not in {None, one.nbytes}:
            yield ""
        last = one.nbytes
        length = (log10(rate) - low) / (high - low) * room
        bar = _bar(length, blocks=blocks)
        yield f"{name:<{left}}{bar} {bytes_text(rate)}/s"
    yield from _axis(left, room, low, high)


def _names(series: Sequence[Series], *, several: bool) -> list[str]:
    sizes = max(len(size_text(one.nbytes)) for one in series)
    names, last = [], None
    for one in series:
        size = size_text(one.nbytes) if one.nbytes != last else ""
        names.append(f"{size:>{sizes}} {one.label}" if several else f"{size:>{sizes}}")
        last = one.nbytes
    return names


def _bar(length: float, *, blocks: bool) -> str:
    if not blocks:
        return "#" * max(1, round(length))
    whole, part = divmod(max(1, round(8 * length)), 8)
    return "█" * whole + _EIGHTHS[part]


def _axis(left: int, room: int, low: int, high: int) -> Iterator[str]:
    """Mark the powers of ten, and name as many of them as there is room for."""
    places = {left + round((power - low) / (high - low) * room): power for power in range(low, high + 1)}
    yield "".join("+" if at in places else "-" if at >= left else " " for at in range(left + room + 1))
    line = ""
    for at, power in places.items():
        text = f"{size_text(10**power)}/s" if power >= 0 else "0"
        begin = min(at - len(text) // 2, WIDTH - len(text))
        if begin > len(line) or not line:
            line = line.ljust(begin) + text
    yield line
