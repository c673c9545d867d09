"""Write bytes, times and rates so that people read them at a glance, and read times as people write them."""

from __future__ import annotations

import re
from argparse import ArgumentTypeError

_BYTES = ((10**12, "TB"), (10**9, "GB"), (10**6, "MB"), (10**3, "kB"))
_SECONDS = ((1.0, 1.0, "s"), (1e-3, 1e3, "ms"), (1e-6, 1e6, "us"), (0.0, 1e9, "ns"))
_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_THREE_DIGITS = ((100, 0), (10, 1), (0, 2))


def read_duration(text: str) -> float:
    """Read a time as `30`, `30s`, `10m`, `1h` or `2d`; a number alone is seconds.

    Returns:
        Seconds, more than 0.

    Raises:
        ArgumentTypeError: It is not a time, or is longer than a century.
    """
    from psk.connectors.arguments import LONGEST_SECONDS

    found = re.fullmatch(r"(\d+(?:\.\d*)?|\.\d+)([smhd]?)", text.strip(), re.ASCII)
    seconds = float(found[1]) * _UNITS[found[2]] if found else 0.0
    if seconds > LONGEST_SECONDS:
        message = f"{text!r:.80} is longer than a century"
    elif not seconds:
        message = f"{text!r:.80} is not a time; write 30s, 10m, 1h or 2d"
    else:
        return seconds
    raise ArgumentTypeError(message)


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
