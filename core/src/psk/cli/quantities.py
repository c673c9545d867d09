"""How are bytes, seconds and rates written so that people read them at a glance?"""

from __future__ import annotations

_BYTES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_SECONDS = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (1e-6, 1e6, "us"), (0.0, 1e9, "ns"))
_THREE_DIGITS = ((100, 0), (10, 1), (0, 2))


def bytes_text(count: float) -> str:
    """Write a number of bytes in three digits, as in `1.50 MB`; powers of ten."""
    for least, unit in _BYTES:
        if count >= least:
            return f"{_three_digits(count / least)} {unit}"
    return f"{count:.0f} B"


def seconds_text(seconds: float) -> str:
    """Write a time in three digits, as in `12.5 us`."""
    for least, factor, unit in _SECONDS:
        if seconds >= least:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{seconds} s"


def rate_text(count: float, seconds: float) -> str:
    """Write bytes in a time as `MB/s`."""
    return f"{bytes_text(count / seconds)}/s" if seconds > 0 else "-"


def _three_digits(value: float) -> str:
    return next(f"{value:.{places}f}" for least, places in _THREE_DIGITS if value >= least)
