"""How does one wait where nothing notifies? By looking again, often at first and then less often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE: Final = 0.0002
SHORT_PAUSE: Final = 0.002
"""Seconds between two looks at most while the answer is likely near."""

LONG_PAUSE: Final = 0.05
"""Seconds between two looks at most afterwards: 20 looks a second cost next to nothing."""

PATIENT_AFTER: Final = 1.0


def poll(look: Callable[[], T], deadline: float) -> T:
    """Look until something is there, or time is up.

    Args:
        look: Returns what is there; empty for nothing.
        deadline: When to look for the last time, by `time.monotonic`.

    Returns:
        What the last look returned.
    """
    start = now = time.monotonic()
    pause = FIRST_PAUSE
    while not (found := look()) and (now := time.monotonic()) < deadline:
        time.sleep(min(pause, deadline - now))
        pause = min(2 * pause, SHORT_PAUSE if now - start < PATIENT_AFTER else LONG_PAUSE)
    return found
