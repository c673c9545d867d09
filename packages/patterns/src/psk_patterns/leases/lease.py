"""When is the lease of one object to be renewed, and until when may it still be alive?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk_patterns.leases.hold import Hold

FIRST_PAUSE = 0.1
"""Seconds until a failed renewal is tried again; they double."""


class Lease:
    """One object that one hold keeps alive; times are `time.monotonic`'s, so no step of the clock changes them.

    Attributes:
        due: When it is to be renewed.
        until: Up to when the channel keeps it at least, as far as this process knows.
        seen: Whether there ever was an object.
        dropped: Whether it is held no more.
    """

    __slots__ = ("dropped", "due", "guard", "hold", "key", "pause", "seen", "until")

    def __init__(self, hold: Hold, key: str, guard: Callable[[], bool] | None, *, seen: bool) -> None:
        self.hold = hold
        self.key = key
        self.guard = guard
        self.seen = seen
        self.dropped = False
        self.pause = 0.0
        self.renewed(time.monotonic())

    def renewed(self, when: float) -> None:
        """Note that a renewal which was asked for at this time has been made."""
        self.due = when + self.hold.ttl / 3
        self.until = when + self.hold.ttl
        self.pause = min(FIRST_PAUSE, self.hold.ttl / 10)

    def failed(self) -> None:
        """Note that a renewal failed: try again soon, and less soon each time."""
        self.due = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, self.hold.ttl / 10)

    @property
    def is_over(self) -> bool:
        """Whether a whole lease has passed since the last renewal."""
        return time.monotonic() > self.until
