"""Wait for the outcome of one future, and check that its producer is alive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError, StoreClosedError
from psk_patterns.errors import FutureError, FutureTimeoutError

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from psk import Store
    from psk_patterns.futures.outcome import Outcome
    from psk_patterns.futures.state import FutureState

CHECK_SECONDS: Final = 0.5
"""Seconds between two checks that the producer of a claimed future is alive."""

LISTEN_SECONDS: Final = 2.0
"""Longest wait of the channel in seconds: meanwhile the store may have been closed, or the future released."""

OUTAGE_SECONDS: Final = 5.0
"""Seconds that a channel may be unreachable before a wait fails."""

LAST_CHECK_SECONDS: Final = 0.2
"""Seconds for the last check for a claim, once the timeout has passed."""

PAUSE_SECONDS: Final = 0.1
"""Seconds before an unreachable channel is tried again."""

UNREACHABLE: Final = (ChannelUnavailableError, ConnectorClosedError, StoreClosedError)
"""Errors of an unreachable channel or a closed store: the next attempt may succeed."""


def await_outcome(state: FutureState, timeout: float) -> Outcome:
    """Wait until a future has an outcome, and return it.

    Args:
        state: The future's.
        timeout: Seconds to wait at most.

    Raises:
        FutureTimeoutError: There was none in time.
        FutureError: The future was released meanwhile.
        ConnectorError: The channel failed.
    """
    deadline = time.monotonic() + timeout
    outage_ends: float | None = None
    while True:
        state.check_not_released()
        left = max(deadline - time.monotonic(), 0.0)
        try:
            longest = LISTEN_SECONDS if state.seen_claim is None else CHECK_SECONDS
            present = state.store().wait(state.awaited_keys, timeout=min(left, longest))
            ended = state.note(present)
        except DeadlineError:
            ended = _has_died(state, deadline)
            if not ended and time.monotonic() >= deadline:
                raise timeout_error(state, timeout) from None
        except UNREACHABLE:
            outage_ends = outage_ends or min(time.monotonic() + OUTAGE_SECONDS, deadline)
            if time.monotonic() >= outage_ends:
                raise
            time.sleep(PAUSE_SECONDS)
            continue
        outage_ends = None
        if ended:
            outcome = state.read_outcome()
            if outcome is not None:
                return outcome
            raise FutureError(
                f"{state.name} was released while a process waited for it",
                remedy="release a future when no process uses it any more",
            )


def present_keys(store: Store, keys: Sequence[str]) -> Collection[str]:
    """Return the keys that have an object now, in one exchange where the channel can."""
    try:
        return store.wait(keys, timeout=0.0)
    except DeadlineError:
        return ()


def timeout_error(state: FutureState, timeout: float) -> FutureTimeoutError:
    """Describe a future that had no outcome in time, and a likely reason."""
    name, claim = state.name, state.seen_claim
    if claim is None:
        return FutureTimeoutError(
            f"{name} had no outcome within {timeout:g} s, and no process has claimed it",
            remedy="start its producer; if it waits in a pool whose workers all wait for futures, give the pool more "
            "workers or submit producers before consumers",
        )
    return FutureTimeoutError(
        f"{name} had no outcome within {timeout:g} s; {claim.who} has claimed it and is alive",
        remedy="wait longer, or find out what its producer waits for: if that is a task without a worker, the pool "
        "needs more workers",
    )


def _has_died(state: FutureState, deadline: float) -> bool:
    if state.seen_claim is None:
        return False
    timeout = max(min(deadline - time.monotonic(), CHECK_SECONDS), LAST_CHECK_SECONDS)
    try:
        there = state.store().exists(state.claim_key, timeout=timeout)
        return not there and state.note_lost_claim()
    except (DeadlineError, *UNREACHABLE):
        return False  # unknown; the next wait will tell
