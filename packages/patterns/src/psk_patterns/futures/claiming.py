"""Who may give a future its outcome? Whoever claims it first, unless it is cancelled before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk_patterns.errors import FutureClaimedError, FutureDoneError
from psk_patterns.futures import outcome as outcomes
from psk_patterns.futures.claim import CANCELLED, Claim, HeldClaim
from psk_patterns.futures.vigil import REMEMBERED_SECONDS
from psk_patterns.leases import LeaseHolder

if TYPE_CHECKING:
    from psk_patterns.futures.slots import Slots

ATTEMPTS: Final = 10
"""How often is tried what finds another claim in its way that is gone at the next look."""


def claim_future(slots: Slots, claim: Claim, ttl: float) -> HeldClaim:
    """Claim a future, and keep the claim alive.

    Args:
        slots: The future's slots.
        claim: The claim; written twice it is one.
        ttl: Seconds of its lease.

    Raises:
        FutureCancelledError: The future was cancelled.
        FutureClaimedError: Another producer is at work on it.
        FutureDoneError: It has its outcome.
        PskError: The channel failed.
    """
    lease = slots.lease_of(ttl)
    for _ in range(ATTEMPTS):
        if slots.write_claim(claim, ttl=lease) or _stands(slots, claim, ttl):
            break
    else:
        raise FutureClaimedError(f"{slots.name} changes hands too often", remedy="claim it again later")
    if slots.store().exists(slots.result_key):
        slots.drop_claim()
        raise ended_error(slots)
    if lease is None:
        return HeldClaim(claim, None)
    # A lost claim needs no report: the outcome is written only where there is none.
    hold = LeaseHolder(slots.store(), lease, on_lost=_take_note)
    held = HeldClaim(claim, hold)  # first: if an interrupt comes before anybody has it, it ends the lease
    hold.add(slots.claim_key)
    return held


def cancel_future(slots: Slots) -> bool:
    """Cancel a future that nobody has claimed; tell whether it is cancelled.

    Raises:
        PskError: The channel failed.
    """
    claim = Claim(CANCELLED)
    for _ in range(ATTEMPTS):
        if slots.store().exists(slots.result_key):
            return is_cancelled(slots)
        # It expires if we die before the outcome is written and nobody who waits writes it on our behalf.
        if slots.write_claim(claim, ttl=slots.lease_of(REMEMBERED_SECONDS)):
            return _finish(slots, claim)
        standing = slots.read_claim()
        if standing is not None:
            return standing.is_cancellation and _finish(slots, standing)
    return False


def is_cancelled(slots: Slots) -> bool:
    """Tell whether a future was cancelled; completes what a canceller began who died.

    Raises:
        PskError: The channel failed.
    """
    claim = slots.read_claim()
    if claim is not None and claim.is_cancellation:
        return _finish(slots, claim)
    ended = slots.read_outcome()
    return ended is not None and ended.kind == outcomes.CANCELLED


def done_error(slots: Slots) -> FutureDoneError:
    """Say that there is nothing left to set."""
    return FutureDoneError(
        f"{slots.name} has its outcome already, or was released",
        remedy="set it once; make a new future for another outcome",
    )


def ended_error(slots: Slots) -> BaseException:
    """Say why a future that has its outcome cannot be claimed.

    Raises:
        PskError: The channel failed.
    """
    ended = slots.read_outcome()
    failure = None if ended is None or ended.kind != outcomes.CANCELLED else ended.failure(slots.name)
    return done_error(slots) if failure is None else failure


def _stands(slots: Slots, claim: Claim, ttl: float) -> bool:
    """Tell whether our claim stands although it was refused; False if another one was there and is not now."""
    standing = slots.read_claim()
    if standing is not None and standing.number == claim.number:
        return True  # another thread of ours was faster
    if standing is not None and standing.is_cancellation:
        ended = slots.finish_cancelling(standing)
        failure = None if ended is None else ended.failure(slots.name)
        if failure is not None and ended is not None and ended.kind == outcomes.CANCELLED:
            raise failure
    if slots.store().exists(slots.result_key):
        raise ended_error(slots)
    if standing is None or standing.is_cancellation:
        return False
    raise FutureClaimedError(
        f"{slots.name} cannot be claimed: {standing.who} is at work on it",
        remedy=f"leave it to that one; if it dies, the future can be claimed after {ttl:g} s",
    )


def _finish(slots: Slots, cancellation: Claim) -> bool:
    outcome = slots.finish_cancelling(cancellation)
    return outcome is not None and outcome.kind == outcomes.CANCELLED


def _take_note(_key: str) -> None:
    """Do nothing."""
