"""What does a producer write into a future to say that it is at work, and a user to say that nobody need be?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from psk.errors import ChannelDataError
from psk_patterns import deferred_cleanup
from psk_patterns.futures.outcome import whoami

if TYPE_CHECKING:
    from psk_patterns.leases import LeaseHolder

CLAIMED: Final = "claimed"
CANCELLED: Final = "cancelled"


class Claim:
    """What stands in a future's second slot.

    Args:
        kind: `CLAIMED` or `CANCELLED`.
        number: Tells it from every other one.
        who: The process that wrote it, for messages.
    """

    __slots__ = ("kind", "number", "who")

    def __init__(self, kind: str, number: str | None = None, who: str | None = None) -> None:
        self.kind = kind
        self.number = os.urandom(8).hex() if number is None else number
        self.who = whoami() if who is None else who

    @property
    def is_cancellation(self) -> bool:
        """Whether nobody may claim the future any more."""
        return self.kind == CANCELLED

    def pack(self) -> str:
        """Give what is stored: a text, which needs no pickle to be read."""
        return f"{self.kind}\n{self.number}\n{self.who}"

    @classmethod
    def read(cls, stored: object, key: str) -> Claim:
        """Read what `pack` gave.

        Raises:
            ChannelDataError: It is something else.
        """
        fields = stored.split("\n") if isinstance(stored, str) else []
        if len(fields) == 3 and fields[0] in {CLAIMED, CANCELLED}:  # noqa: PLR2004  as `pack` gives
            return cls(*fields)
        raise ChannelDataError(
            f"under key {key} stands a {type(stored).__qualname__} that is no claim of a future",
            remedy="let only futures write to their keys",
        )


class HeldClaim:
    """A claim of this process, kept alive until its producer is done, forgets the future, or dies.

    Args:
        claim: As it was written.
        hold: What keeps it alive; None where the channel keeps no expiry.
    """

    __slots__ = ("_hold", "_pid", "claim")

    def __init__(self, claim: Claim, hold: LeaseHolder | None) -> None:
        self.claim = claim
        self._pid = os.getpid()
        self._hold = hold

    @property
    def is_ours(self) -> bool:
        """Whether it is this process's: not that of one which this was forked from."""
        return self._pid == os.getpid()

    def let_go(self) -> None:
        """Keep it alive no more."""
        if self._hold is not None and self.is_ours:
            self._hold.close()
        self._hold = None  # last: if an interrupt comes before, the finaliser does it

    def __del__(self) -> None:
        # A producer that forgets its future gives no outcome any more: those who wait are to hear of it.
        # It may be half made.
        hold = getattr(self, "_hold", None)
        if hold is not None and self.is_ours:
            deferred_cleanup.later(hold.close)
