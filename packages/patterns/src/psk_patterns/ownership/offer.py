"""Transfer an object to another owner exactly once, by an offer and a verdict that is written once.

An offer is an object, the ticket, that names the offered object and a reserved key, the verdict's. The first process
that writes the verdict decides: "accepted" or "withdrawn". A verdict counts if the ticket exists after it was written.
The process whose verdict counts evicts first the ticket, then the verdict. So at most one verdict counts: a verdict
outlives its ticket, and where a verdict was evicted the ticket was evicted before. Nothing grows with the number of
transfers.
"""

from __future__ import annotations

import time
import uuid
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from psk import get_factory
from psk.connectors import SupportsExpiry, SupportsReserve
from psk.errors import CapabilityError, KeyExistsError, PskError
from psk_patterns.leases import reopened

if TYPE_CHECKING:
    from psk import Store
    from psk.store import StoreFactory

ACCEPTED: Final = "accepted"
WITHDRAWN: Final = "withdrawn"


class Offer:
    """One side's view of an offer.

    Args:
        key: The key of the object on offer.
        ticket: Factory of the ticket; for one that arrived, it opens only what this process trusts.
        verdict: Factory of the verdict's key.
        reach: Seconds for which the ticket exists.
        window: Seconds after which the sender withdraws the offer.

    Attributes:
        counts: Whether this side's verdict is known to count.
    """

    __slots__ = ("_claim", "_deadline", "counts", "key", "reach", "ticket", "verdict")

    def __init__(
        self, key: str, ticket: StoreFactory[Any], verdict: StoreFactory[Any], *, reach: float, window: float
    ) -> None:
        self.key = key
        self.ticket = ticket
        self.verdict = verdict
        self.reach = reach
        self.counts = False
        # Repeated after a lost answer, a verdict is the same.
        self._claim = uuid.uuid4().hex
        self._deadline = time.monotonic() + window

    @classmethod
    def make(cls, store: Store, key: str, *, ttl: float, window: float) -> Offer:
        """Make an offer of an object.

        Args:
            store: Where the object is.
            key: Its key.
            ttl: Seconds of the owner's lease.
            window: Seconds after which the owner withdraws it.

        Raises:
            CapabilityError: The channel cannot reserve keys, or has no expiry.
            ConnectorError: The channel failed.
        """
        if not store.supports(SupportsReserve, SupportsExpiry):
            raise CapabilityError(
                f"object {key} of store {store.name!r} cannot be moved to another process: channel "
                f"{store.connector.scheme!r} has no SupportsReserve or no SupportsExpiry",
                remedy="send a borrow or a clone of it, or use another channel",
            )
        # Time for the sender to withdraw; one that is stopped for longer loses its lease.
        reach = window + 2 * ttl
        verdict = store.reserve(ttl=2 * reach)
        ticket = store.put(f"{key} {verdict}", ttl=reach)
        return cls(key, _factory(store, ticket), _factory(store, verdict), reach=reach, window=window)

    @property
    def is_over(self) -> bool:
        """Whether the window has passed."""
        return time.monotonic() >= self._deadline

    def exists(self, store: Store | None = None) -> bool:
        """Return whether the ticket exists: then no verdict has been completed."""
        store = store or self.ticket.store()
        return bool(store.exists(self.ticket.reference.key))

    def is_decided(self, store: Store) -> bool:
        """Return whether a verdict has been written."""
        return bool(store.exists(self.verdict.reference.key))

    def decide(self, verdict: str, store: Store | None = None) -> bool:
        """Write a verdict, unless there is one; can be repeated after a lost answer.

        Args:
            verdict: `ACCEPTED` or `WITHDRAWN`.
            store: The sender's store; a receiver uses those of the factories that arrived.

        Returns:
            Whether this side's verdict counts.

        Raises:
            PskError: The channel failed or is not trusted; the verdict may have been written.
        """
        if self.counts:
            return True
        tickets, verdicts = store or self.ticket.store(), store or self.verdict.store()
        ticket_key, verdict_key = self.ticket.reference.key, self.verdict.reference.key
        # The owner wrote the ticket: parts of several offers cannot be combined.
        if tickets.get(ticket_key) != f"{self.key} {verdict_key}":
            return False
        stored = f"{verdict} {self._claim}"
        try:
            verdicts.fulfil(verdict_key, stored, ttl=2 * self.reach)
        except KeyExistsError:
            if verdicts.get(verdict_key) != stored:
                return False
        self.counts = tickets.exists(ticket_key)
        if not self.counts:
            # The ticket is gone, so that no verdict will ever count: this one is garbage.
            with suppress(PskError):
                verdicts.evict(verdict_key)
        return self.counts

    def clear(self, store: Store) -> None:
        """Evict what is left of an offer whose verdict counts.

        Raises:
            ConnectorError: The channel failed; what is left expires.
        """
        with reopened(store) as channel:
            # In this order: without the verdict another could be written, and would count while the ticket exists.
            channel.evict(self.ticket.reference.key)
            channel.evict(self.verdict.reference.key)


def _factory(store: Store, key: str) -> StoreFactory[Any]:
    factory: Any = get_factory(store.proxy_from_key(key))
    return factory  # type: ignore[no-any-return]  # a store's proxies have no other
