"""Wait where nothing notifies: look again, often at first and then less often."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE: Final = 0.0002
SHORT_PAUSE: Final = 0.002
"""Seconds between two looks, at most, while the answer is likely to be near."""

LONG_PAUSE: Final = 0.05
"""Seconds between two looks, at most, afterwards: 20 looks a second cost almost nothing."""

PATIENT_AFTER: Final = 1.0


def poll(look: Callable[[], T], deadline: float, *, interval: float | None = None) -> T:
    """Look until something is there, or time is up.

    Args:
        look: Returns what is there; empty for nothing.
        deadline: When to look for the last time, by `time.monotonic`.
        interval: Seconds between two looks, for a channel on which a look is expensive (its `look_interval`); None
            looks after 0.2 ms, then less and less often, down to every 50 ms.

    Returns:
        What the last look returned.
    """
    start = now = time.monotonic()
    pause = FIRST_PAUSE if interval is None else interval
    while not (found := look()) and (now := time.monotonic()) < deadline:
        time.sleep(min(pause, deadline - now))
        if interval is None:
            pause = min(2 * pause, SHORT_PAUSE if now - start < PATIENT_AFTER else LONG_PAUSE)
    return found
