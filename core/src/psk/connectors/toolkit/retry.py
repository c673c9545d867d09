"""Decide whether a failed call is tried again, and after how long a pause."""

from __future__ import annotations

import random
import time
from collections import Counter
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

OUTAGE_SECONDS: Final = 30.0
"""Seconds to wait for a service that changes its state: more than most need to elect another server."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_MOST_MOVES: Final = 16


class Trouble(Enum):
    """The consequence of a failure for the next attempt."""

    FINAL = "another attempt fails in the same way"
    BROKEN = "the connection broke, so that another one may do"
    PASSING = "the server is in a state that ends by itself, or another one is about to take over"
    STARTING = "the server says that it will be ready, however long that takes"
    MOVED = "another server answers for this, and is known"


class Patience:
    """Decide after each failure of one call whether to try again, and pause before that.

    The first attempt after a broken connection follows at once: connections that were idle may have died unnoticed.
    So does the first at another server.
    Then pauses grow from 20 ms to half a second, with jitter, so that clients of one server do not return in step.

    Args:
        deadline: When the call must be over, by `time.monotonic`.
        classify: Says what an error means.
        retries: How often a call is tried again after `Trouble.BROKEN`.
    """

    def __init__(self, deadline: float, classify: Callable[[Exception], Trouble], *, retries: int = 5) -> None:
        self._deadline = deadline
        self._classify = classify
        self._most = {Trouble.FINAL: 0, Trouble.BROKEN: retries, Trouble.MOVED: _MOST_MOVES}
        self._counts: Counter[Trouble] = Counter()
        self._pause = _FIRST_PAUSE
        self._outage_end: float | None = None

    def after(self, error: Exception) -> bool:
        """Tell whether to try again after an error, having paused; False if that is of no use, or time is up."""
        now = time.monotonic()
        if self._outage_end is None:
            self._outage_end = now + OUTAGE_SECONDS
        trouble = self._classify(error)
        self._counts[trouble] += 1
        count, most = self._counts[trouble], self._most.get(trouble)
        is_hopeless = (most is not None and count > most) or (trouble is Trouble.PASSING and now >= self._outage_end)
        if is_hopeless or now >= self._deadline:
            return False
        if most is None or count > 1:
            time.sleep(min(self._pause * (0.5 + random.random() / 2), self._deadline - now))  # noqa: S311  no secret
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return True
