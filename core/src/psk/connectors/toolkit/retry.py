"""Decide whether a failed call is tried again, and after how long a pause."""

from __future__ import annotations

import random
import time
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
    FAILOVER = "the connection broke, and another server is about to take over"
    PASSING = "the server is in a state that ends by itself"
    STARTING = "the server says that it will be ready, however long that takes"
    MOVED = "another server answers for this, and is known"


class Patience:
    """Decide after each failure of one call whether to try again, and pause before that.

    The first attempt after a broken connection follows at once: connections that were idle may have died unnoticed.
    Then pauses grow from 20 ms to half a second, with jitter, so that clients of one server do not return in step.

    Args:
        deadline: When the call must be over, by `time.monotonic`.
        classify: Says what an error means.
        retries: How often a call is tried again after `Trouble.BROKEN`.
    """

    __slots__ = ("_breaks", "_classify", "_deadline", "_end", "_moves", "_pause", "_retries")

    def __init__(
        self,
        deadline: float,
        classify: Callable[[Exception], Trouble],
        *,
        retries: int = 5,
    ) -> None:
        self._deadline = deadline
        self._classify = classify
        self._retries = retries
        self._breaks = self._moves = 0
        self._pause = _FIRST_PAUSE
        self._end: float | None = None

    def after(self, error: Exception) -> bool:
        """Tell whether to try again after an error, having paused; False if that is of no use, or time is up."""
        now = time.monotonic()
        if self._end is None:
            self._end = min(self._deadline, now + OUTAGE_SECONDS)
        trouble = self._classify(error)
        if now >= self._deadline or not self._may_help(trouble, now, self._end):
            return False
        if self._is_repeated(trouble):
            time.sleep(min(self._pause * (0.5 + random.random() / 2), self._deadline - now))  # noqa: S311  no secret
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
        return True

    def _may_help(self, trouble: Trouble, now: float, end: float) -> bool:
        if trouble is Trouble.MOVED:
            self._moves += 1
            return self._moves <= _MOST_MOVES
        if trouble in {Trouble.BROKEN, Trouble.FAILOVER}:
            self._breaks += 1
            return now < end if trouble is Trouble.FAILOVER else self._breaks <= self._retries
        return trouble is Trouble.STARTING or (trouble is Trouble.PASSING and now < end)

    def _is_repeated(self, trouble: Trouble) -> bool:
        if trouble is Trouble.MOVED:
            return self._moves > 1
        return self._breaks > 1 or trouble in {Trouble.PASSING, Trouble.STARTING}
