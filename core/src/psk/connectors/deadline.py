"""When must a call be over, and when does an object expire? Times are checked before anything is done."""

from __future__ import annotations

import math
import time

from psk.connectors.key import shown
from psk.errors import DeadlineError, InvalidArgumentError

LONGEST_SECONDS = 3.2e9
"""About a century: more is a mistake, and file systems cannot write it down."""


def deadline_after(timeout: float | None, default: float) -> float:
    """Return when a call that may take `timeout` seconds must be over, by `time.monotonic`.

    Args:
        timeout: Seconds from now, 0 or more; None means `default`.
        default: Seconds, finite.

    Raises:
        InvalidArgumentError: `timeout` is no finite, non-negative number.
    """
    if timeout is None:
        return time.monotonic() + default
    return time.monotonic() + _seconds("timeout", timeout, at_least=0.0)


def check_timeout(timeout: float | None) -> None:
    """Make sure that a timeout makes sense, for calls that never wait."""
    if timeout is not None:
        _seconds("timeout", timeout, at_least=0.0)


def check_ttl(ttl: float, name: str = "ttl") -> float:
    """Return a time to live in seconds.

    Raises:
        InvalidArgumentError: It is no positive finite number, or beyond a century.
    """
    return _seconds(name, ttl, at_least=1e-9)


def expired(deadline: float, doing: str) -> None:
    """Raise DeadlineError if the deadline has passed.

    Args:
        deadline: As `deadline_after` returned it.
        doing: What was not finished, naming key and channel.
    """
    if time.monotonic() > deadline:
        raise deadline_error(doing)


def deadline_error(doing: str) -> DeadlineError:
    """Build the error that says what was not finished in time."""
    return DeadlineError(f"no time left while {doing}", remedy="give a longer timeout=")


def _seconds(name: str, value: object, *, at_least: float) -> float:
    if isinstance(value, int | float) and at_least <= value <= LONGEST_SECONDS and math.isfinite(value):
        return float(value)
    raise InvalidArgumentError(
        f"{shown(value)} is no {name}",
        remedy=f"give seconds as a number from {at_least:g} to {LONGEST_SECONDS:g}, or None",
    )
