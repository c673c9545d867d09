"""How does an object change its owner exactly once? By an offer, and a verdict over it that only one can write.

An offer is an object that names what is offered and a reserved key, the sign. Whoever writes the sign first decides:
"accepted" or "withdrawn". A verdict counts if the offer exists after it was written, and who gave one that counts
evicts first the offer, then the sign. So at most one counts: a sign outlives the offer that it was written for, and
where a sign was evicted the offer was before. Nothing is left to grow.
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
        notice: Factory of the offer's own object; of one that arrived, its store is held to the rules of this process.
        sign: Factory of the key under which the verdict goes.
        reach: Seconds for which the offer exists.
        window: Seconds after which the sender withdraws it; for its sender.

    Attributes:
        counts: Whether this side's verdict is known to count.
    """

    __slots__ = ("_claim", "_deadline", "counts", "key", "notice", "reach", "sign")

    def __init__(
        self, key: str, notice: StoreFactory[Any], sign: StoreFactory[Any], *, reach: float, window: float
    ) -> None:
        self.key = key
        self.notice = notice
        self.sign = sign
        self.reach = reach
        self.counts = False
        # Who asks again, as its answer was lost, says the same.
        self._claim = uuid.uuid4().hex
        self._deadline = time.monotonic() + window

    @classmethod
    def make(cls, store: Store, key: str, *, ttl: float, window: float) -> Offer:
        """Make an offer of an object.

        Args:
            store: Where the object is.
            key: Its key.
            ttl: Seconds of the owner's lease.
            window: Seconds after which the owner wants it back.

        Raises:
            CapabilityError: The channel cannot reserve keys, or keeps no expiry times.
            ConnectorError: The channel failed.
        """
        if not store.supports(SupportsReserve, SupportsExpiry):
            raise CapabilityError(
                f"object {key} of store {store.name!r} cannot be moved to another process: channel "
                f"{store.connector.scheme!r} has no SupportsReserve or no SupportsExpiry",
                remedy="send a borrow of it, or a clone, or use another channel",
            )
        # The sender needs time to withdraw what has not been accepted; one that was stopped for longer lost its lease.
        reach = window + 2 * ttl
        sign = store.reserve(ttl=2 * reach)
        notice = store.put(f"{key} {sign}", ttl=reach)
        return cls(key, _factory(store, notice), _factory(store, sign), reach=reach, window=window)

    @property
    def is_over(self) -> bool:
        """Whether its sender has waited long enough."""
        return time.monotonic() >= self._deadline

    def exists(self, store: Store | None = None) -> bool:
        """Tell whether the offer is still there: then nobody has completed a verdict."""
        store = store or self.notice.store()
        return bool(store.exists(self.notice.reference.key))

    def is_decided(self, store: Store) -> bool:
        """Tell whether a verdict has been written."""
        return bool(store.exists(self.sign.reference.key))

    def decide(self, verdict: str, store: Store | None = None) -> bool:
        """Give a verdict, unless there is one; ask again where the answer was lost.

        Args:
            verdict: `ACCEPTED` or `WITHDRAWN`.
            store: The sender's store; a receiver's are those of what arrived.

        Returns:
            Whether it is this side's verdict that counts.

        Raises:
            PskError: Channel or policy; whether there is a verdict is not known then.
        """
        if self.counts:
            return True
        notices, signs = store or self.notice.store(), store or self.sign.store()
        notice, sign = self.notice.reference.key, self.sign.reference.key
        # What stands there was written by the owner: parts of several offers cannot be put together.
        if notices.get(notice) != f"{self.key} {sign}":
            return False
        said = f"{verdict} {self._claim}"
        try:
            signs.fulfil(sign, said, ttl=2 * self.reach)
        except KeyExistsError:
            if signs.get(sign) != said:
                return False
        self.counts = notices.exists(notice)
        if not self.counts:
            # It went meanwhile, so no verdict will ever count, and nobody needs the sign.
            with suppress(PskError):
                signs.evict(sign)
        return self.counts

    def clear(self, store: Store) -> None:
        """Evict what is left of an offer over which a verdict counts.

        Raises:
            ConnectorError: The channel failed; what is left expires.
        """
        with reopened(store) as channel:
            # In this order: without the sign another verdict could be written, and would count if the offer were there.
            channel.evict(self.notice.reference.key)
            channel.evict(self.sign.reference.key)


def _factory(store: Store, key: str) -> StoreFactory[Any]:
    factory: Any = get_factory(store.proxy_from_key(key))
    return factory  # type: ignore[no-any-return]  # a store's proxies have no other
