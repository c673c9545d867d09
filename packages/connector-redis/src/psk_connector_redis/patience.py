"""Is a failed exchange worth another try, and after how long a pause? Within the deadline, and with an end."""

from __future__ import annotations

import random
import time
from typing import TYPE_CHECKING, Final

from psk_connector_redis.failures import MOVING, failure, is_broken, is_passing, refusal_of

if TYPE_CHECKING:
    from psk_connector_redis.settings import Settings

LONGEST_TROUBLE: Final = 30.0
"""Seconds for which a server between two states is waited for: more than sentinels and clusters need to agree."""

_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 0.5
_MOST_MOVES: Final = 16


class Patience:
    """What one call has gone through so far.

    Args:
        settings: How many retries there are, and whether another server may take over.
        deadline: When the call must be over.
        doing: What it does, for messages.
        nbytes: Size of what should be stored.
    """

    __slots__ = ("_breaks", "_deadline", "_doing", "_end", "_moves", "_nbytes", "_pause", "_settings")

    def __init__(self, settings: Settings, deadline: float, doing: str, nbytes: int = 0) -> None:
        self._settings = settings
        self._deadline = deadline
        self._doing = doing
        self._nbytes = nbytes
        self._breaks = self._moves = 0
        self._pause = _FIRST_PAUSE
        self._end = 0.0

    def after(self, error: Exception) -> None:
        """Return when the exchange should be tried again.

        Raises:
            PskError: That is of no use, or there is no time.
        """
        now = time.monotonic()
        self._end = self._end or min(self._deadline, now + LONGEST_TROUBLE)
        if now >= self._deadline or not self._may_pass(error, now):
            raise failure(
                error,
                self._doing,
                self._settings.describe(),
                nbytes=self._nbytes,
                is_late=now >= self._deadline,
                is_tls=self._settings.is_tls,
            )
        if self._breaks > 1 or self._moves > 1 or (refusal_of(error) is not None and not self._moves):
            time.sleep(min(self._pause * (0.5 + random.random() / 2), max(0.0, self._deadline - now)))  # noqa: S311  no secret
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)

    def _may_pass(self, error: Exception, now: float) -> bool:
        refusal = refusal_of(error)
        if refusal is not None:
            if refusal.code in MOVING:
                self._moves += 1
                return self._settings.cluster and self._moves <= _MOST_MOVES
            return is_passing(refusal) and (now < self._end or refusal.code == "LOADING")
        if not is_broken(error):
            return False
        self._breaks += 1
        if self._settings.has_several:
            return now < self._end
        return self._breaks <= self._settings.retries
