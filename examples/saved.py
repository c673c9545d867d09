"""Print the figures of a run without a pattern beside those of a run with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chart import duration, megabytes

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    #: The name, the figures without and with the pattern, and the function that formats them.
    Figure = tuple[str, float, float, Callable[[float], str]]

__all__ = ["count", "duration", "megabytes", "table"]


def table(without: str, using: str, figures: Sequence[Figure]) -> str:
    """Format figures in columns, with the part that the pattern saved.

    Args:
        without: What the first column is called, at most 16 characters.
        using: What the second is.
        figures: The lines.
    """
    lines = [f"{'':34}{without:>18}{using:>18}{'saved':>16}"]
    for label, before, after, written in figures:
        part = f" ({(before - after) / before:.0%})" if before else ""
        saved = f"{'-' if after > before else ''}{written(abs(before - after))}{part}"
        lines.append(f"{label:34}{written(before):>18}{written(after):>18}{saved:>16}")
    return "\n".join(lines)


def count(number: float) -> str:
    """Write a number of things."""
    return f"{number:,.0f}"
