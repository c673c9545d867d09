"""Which objects of a channel does this process keep alive, and for whom?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.connectors import SupportsExpiry, check_ttl
from psk.errors import CapabilityError, InvalidArgumentError
from psk_patterns.leases import keeper

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk import Store

SHORTEST_TTL: Final = 0.3
"""Seconds: a lease below could not be renewed in time on a busy machine."""


class Hold:
    """Keep objects of one channel alive until they are discarded, or this process ends.

    Each object's lease is renewed when a third of it is over, in one daemon thread per channel. A process that cannot
    do so for a whole `ttl`, as it was stopped or its channel was out of reach, counts as dead: the objects are lost.
    A Hold that is garbage keeps what it has; a forked child's copy of it has nothing and can be used anew.

    Args:
        store: Where the objects are; when it is closed, their leases are renewed all the same.
        ttl: Seconds of a lease, at least 0.3.
        on_lost: Called in the thread with the key of each object that is found gone; it must be quick. Without it,
            an object that was lost because its lease was not renewed in time is reported to `sys.unraisablehook`.

    Attributes:
        ttl: Seconds of a lease.
        closed: Whether `close()` was called.

    Raises:
        CapabilityError: The channel does not keep expiry times.
        InvalidArgumentError: `ttl` is no number of seconds, or too small.
    """

    def __init__(self, store: Store, ttl: float, *, on_lost: Callable[[str], None] | None = None) -> None:
        if not store.supports(SupportsExpiry):
            raise CapabilityError(
                f"store {store.name!r} cannot keep a lease: channel {store.connector.scheme!r} has no SupportsExpiry",
                remedy="evict the objects, or end their lifetime, when they are done with; or use another channel",
            )
        self.ttl = check_ttl(ttl)
        if self.ttl < SHORTEST_TTL:
            raise InvalidArgumentError(
                f"a lease of {self.ttl:g} s in store {store.name!r} is too short to be renewed in time",
                remedy=f"give at least {SHORTEST_TTL:g} s",
            )
        self.store = store
        self.on_lost = on_lost
        self.closed = False

    def add(self, *keys: str, guard: Callable[[], bool] | None = None, awaited: bool = False) -> None:
        """Keep objects alive from now on.

        Args:
            keys: The objects; they were put, or renewed, with this `ttl` just now.
            guard: Called in the thread before each renewal, so it must be quick and have timeouts; once it says False,
                the key is discarded. Where it raises an error, the lease is renewed.
            awaited: The keys may have no object yet: until one has been seen, none is lost.

        Raises:
            LifetimeEndedError: The hold was closed.
            LeaseLostError: There is no thread to be had that could renew.
        """
        keeper.add(self, keys, guard, awaited=awaited)

    def discard(self, *keys: str) -> None:
        """Stop renewing; the objects stay until they expire or are evicted. Unknown keys are no error."""
        keeper.discard(self, keys)

    def close(self) -> None:
        """Stop renewing anything; closing twice is no error."""
        keeper.end(self)

    @property
    def keys(self) -> frozenset[str]:
        """What is being kept alive."""
        return keeper.keys_of(self)

    def __repr__(self) -> str:
        return f"Hold({self.store.name!r}, ttl={self.ttl:g}, {len(self.keys)} objects)"
