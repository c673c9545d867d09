"""How does one thread wait for one future? Told by the channel, and looking now and then whether its producer lives."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError, StoreClosedError
from psk_patterns.errors import FutureError, FutureTimeoutError
from psk_patterns.futures.vigil import LOOK_SECONDS

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from psk import Store
    from psk_patterns.futures.outcome import Outcome
    from psk_patterns.futures.vigil import Vigil

LISTEN_SECONDS: Final = 2.0
"""How long one wait of the channel's own takes at most: meanwhile its store may have been
closed, and the future released by another thread."""

OUTAGE_SECONDS: Final = 5.0
"""For so long a channel may be out of reach before a waiter gives up."""

LAST_LOOK_SECONDS: Final = 0.2
"""How long the last look for a claim may take, when time is up."""

PAUSE_SECONDS: Final = 0.1
"""How long to wait before a channel that is out of reach is tried again."""


def await_outcome(vigil: Vigil, timeout: float) -> Outcome:
    """Wait until a future has its outcome, and give it.

    Args:
        vigil: The future's slots, and what has been seen of them.
        timeout: Seconds to wait at most.

    Raises:
        FutureTimeoutError: There was none in time.
        FutureError: It was released meanwhile.
        ConnectorError: The channel failed.
    """
    slots, deadline = vigil.slots, time.monotonic() + timeout
    patience = Patience()
    while True:
        slots.check_not_released()
        left = max(deadline - time.monotonic(), 0.0)
        try:
            longest = LISTEN_SECONDS if vigil.claim is None else LOOK_SECONDS
            present = slots.store().wait(vigil.keys, timeout=min(left, longest))
            ended = vigil.sees(present)
        except DeadlineError:
            ended = _has_died(vigil, deadline)
            if not ended and time.monotonic() >= deadline:
                raise timeout_error(vigil, timeout) from None
        except (ChannelUnavailableError, ConnectorClosedError, StoreClosedError) as error:
            patience.wait_out(error, deadline)
            continue
        patience.restore()
        if ended:
            outcome = slots.read_outcome()
            if outcome is not None:
                return outcome
            raise FutureError(
                f"{slots.name} was released while somebody waited for it",
                remedy="release a future when all who use it are done",
            )


def glance(store: Store, keys: Sequence[str]) -> Collection[str]:
    """Tell which keys have an object now, in one exchange where the channel can."""
    try:
        return store.wait(keys, timeout=0.0)
    except DeadlineError:
        return ()


class Patience:
    """How long a channel has been out of reach, and how much longer that is borne."""

    __slots__ = ("_until",)

    def __init__(self) -> None:
        self._until: float | None = None

    def restore(self) -> None:
        """Take note that the channel answered."""
        self._until = None

    def wait_out(self, error: Exception, deadline: float) -> None:
        """Wait a moment before the next try; raise the error when there is to be none.

        Args:
            error: What the channel raised.
            deadline: When there is no time left, by `time.monotonic`.
        """
        now = time.monotonic()
        if self._until is None:
            self._until = min(now + OUTAGE_SECONDS, deadline)
        if now >= self._until:
            raise error
        time.sleep(PAUSE_SECONDS)


def timeout_error(vigil: Vigil, timeout: float) -> FutureTimeoutError:
    """Say that a future had no outcome in time, and why that may be."""
    claim = vigil.claim
    if claim is None:
        return FutureTimeoutError(
            f"{vigil.slots.name} had no outcome within {timeout:g} s, and nobody has claimed it",
            remedy="start its producer; if it waits in a pool whose workers all wait for futures, give the pool more "
            "workers or submit producers before consumers",
        )
    return FutureTimeoutError(
        f"{vigil.slots.name} had no outcome within {timeout:g} s; {claim.who} has claimed it and is alive",
        remedy="wait longer, or look what its producer waits for: if that is a task without a worker, the pool needs "
        "more workers",
    )


def _has_died(vigil: Vigil, deadline: float) -> bool:
    if vigil.claim is None:
        return False
    slots, left = vigil.slots, deadline - time.monotonic()
    try:
        there = slots.store().exists(slots.claim_key, timeout=max(min(left, LOOK_SECONDS), LAST_LOOK_SECONDS))
        return not there and vigil.misses_claim()
    except (DeadlineError, ChannelUnavailableError, ConnectorClosedError, StoreClosedError):
        return False  # nothing is known; the next wait says more
