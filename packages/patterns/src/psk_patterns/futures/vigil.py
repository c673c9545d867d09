"""What must be looked at while a future has no outcome, and what does it mean?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk_patterns.futures.outcome import DIED, Outcome

if TYPE_CHECKING:
    from collections.abc import Collection

    from psk_patterns.futures.claim import Claim
    from psk_patterns.futures.slots import Slots

LOOK_SECONDS: Final = 0.5
"""How often whoever waits for a claimed future looks whether its producer is alive."""

REMEMBERED_SECONDS: Final = 3600.0
"""For how long a future says that its producer died, once somebody who waited has found out."""


class Vigil:
    """What a process has seen of one future, by one object that stands for it; for any number of threads.

    Args:
        slots: The future's slots.

    Attributes:
        claim: The claim that was seen last; None before there is one.
    """

    __slots__ = ("claim", "slots")

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.claim: Claim | None = None

    @property
    def keys(self) -> tuple[str, ...]:
        """Which keys to wait for: a claim is waited for until there is one."""
        return self.slots.keys if self.claim is None else (self.slots.result_key,)

    def sees(self, present: Collection[str]) -> bool:
        """Take note of the keys that have an object; tell whether the future has its outcome.

        Raises:
            ConnectorError: The channel failed.
        """
        if self.slots.result_key in present:
            return True
        if self.claim is None and self.slots.claim_key in present:
            claim = self.slots.read_claim()
            if claim is not None and claim.is_cancellation:
                # On behalf of the canceller, who may have died between its two steps.
                self.slots.finish_cancelling(claim)
                return True
            self.claim = claim
        return False

    def forget_claim(self) -> None:
        """Take note that the claim is done with, and will not be missed."""
        self.claim = None

    def misses_claim(self) -> bool:
        """Take note that the claim that was seen is gone; tell whether the future has its outcome: it has one now."""
        claim = self.claim
        if claim is None:
            return False
        if not self.slots.store().exists(self.slots.result_key):
            # For a while only: where somebody released the future meanwhile, nobody would ever remove it.
            self.slots.settle(Outcome(DIED, claim.who), ttl=self.slots.lease_of(REMEMBERED_SECONDS))
        return True
