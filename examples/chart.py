"""Draw two costs side by side in a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from cost import Cost

BAR_WIDTH = 44
EIGHTHS = " ▏▎▍▌▋▊▉█"


def megabytes(nbytes: float) -> str:
    """Return a size with three digits and a unit; 1 MB is a million bytes."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if nbytes >= size:
            value = nbytes / size
            return f"{value:.{max(0, 2 - len(str(int(value))) + 1)}f} {unit}"
    return f"{nbytes:.0f} B"


def duration(seconds: float) -> str:
    return f"{seconds:.2f} s"


ROWS: list[tuple[str, Callable[[Cost], float], Callable[[float], str]]] = [
    ("bytes through the executor", lambda cost: cost.sent + cost.received, megabytes),
    ("  work items, to the workers", lambda cost: cost.sent, megabytes),
    ("  results, to the driver", lambda cost: cost.received, megabytes),
    ("time", lambda cost: cost.seconds, duration),
    ("peak memory, all together", lambda cost: cost.memory.total, megabytes),
    ("  driver", lambda cost: cost.memory.driver, megabytes),
    ("  workers", lambda cost: cost.memory.workers, megabytes),
    ("  channel and caches", lambda cost: cost.memory.stored, megabytes),
]


def table(by_value: Cost, by_proxy: Cost) -> str:
    """Lay out both costs in columns."""
    lines = [f"{'':30}{'by value':>12}{'by proxy':>12}{'proxy / value':>16}"]
    for label, amount, written in ROWS:
        value, proxy = amount(by_value), amount(by_proxy)
        lines.append(f"{label:30}{written(value):>12}{written(proxy):>12}{ratio(proxy, value):>16}")
    return "\n".join(lines)


def ratio(part: float, whole: float) -> str:
    if not whole:
        return "-"
    return f"{part / whole:.2f}" if part / whole >= 0.01 else f"1/{whole / part:,.0f}" if part else "0"


def chart(by_value: Cost, by_proxy: Cost) -> str:
    """Draw both costs as bars, the longer of each pair at full width."""
    lines = []
    for label, amount, written in ROWS:
        if label.startswith(" "):
            continue
        longest = max(amount(by_value), amount(by_proxy)) or 1
        for way, cost in (("value", by_value), ("proxy", by_proxy)):
            bar = draw_bar(amount(cost) / longest)
            figure = " ".join(filter(None, [bar, written(amount(cost))]))
            lines.append(f"{label if way == 'value' else '':30}{way} {figure}")
    return "\n".join(lines)


def draw_bar(fraction: float) -> str:
    """Draw a bar to an eighth of a character; a value above zero is always visible."""
    eighths = max(round(fraction * BAR_WIDTH * 8), 1 if fraction else 0)
    return "█" * (eighths // 8) + EIGHTHS[eighths % 8].strip()
