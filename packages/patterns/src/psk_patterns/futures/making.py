"""How does a future come to be: new, or as one that travelled?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import check_timeout, check_ttl
from psk.errors import CapabilityError, InvalidArgumentError
from psk_patterns.arguments import check_lifetime, check_store
from psk_patterns.futures.promise import Future
from psk_patterns.futures.slots import Slots
from psk_patterns.leases import SHORTEST_TTL

if TYPE_CHECKING:
    from psk import Store
    from psk.store import Lifetime


def future(store: Store, *, ttl: float = 10.0, timeout: float = 600.0, lifetime: Lifetime | None = None) -> Future[Any]:
    """Make a future whose outcome will be put into a store.

    A store that signs makes futures that are believed only where its key is. Outcomes travel as pickles, whatever
    serializer the store has.

    Args:
        store: Any store whose channel can reserve keys. Where the channel keeps no expiry, the death of a producer
            is not noticed, and waiting ends by its timeout; where it cannot notify, waiting looks again and again.
        ttl: Seconds after which a producer that has claimed the future and gives no sign of life counts as dead; at
            least 0.3.
        timeout: Seconds that each wait takes at most, where no other timeout is given.
        lifetime: Deletes at its end what the future has in the channel.

    Raises:
        CapabilityError: The channel cannot reserve keys, or the store decodes no pickle.
        InvalidArgumentError: `ttl` or `timeout` is no number of seconds, `ttl` is too small, or an argument is not a
            store or a lifetime.
        ConnectorError: The channel failed.
    """
    if check_store(store).config().codecs == "raw":
        raise CapabilityError(
            f"store {store.name!r} cannot keep a future: it decodes only raw codecs, and an outcome may be an error",
            remedy="open a store with codecs='any' over the same channel, signed if others can write to it",
        )
    _check_times(ttl, timeout)
    if lifetime is not None:
        check_lifetime(lifetime)
    made: Future[Any] = Future(Slots.reserve(store), ttl, timeout)
    if lifetime is not None:
        # A lifetime with a `ttl` may renew what it has, and would keep a dead producer's claim alive. There claims and
        # cancellations expire by themselves; whatever else a lifetime is, it only deletes them.
        keys = made.keys if getattr(lifetime, "ttl", None) is None else (made.key,)
        lifetime.add_key(*keys, store=store)
    return made


def restore_future(result: Any = None, claim: Any = None, ttl: Any = None, timeout: Any = None) -> Future[Any]:
    """Rebuild a future that travelled; nothing is opened yet.

    Args:
        result: Fetches the outcome: a StoreFactory.
        claim: Fetches the claim: a StoreFactory.
        ttl: Seconds of a producer's lease.
        timeout: Seconds that each wait takes at most.

    Raises:
        InvalidReferenceError: It is damaged or forged.
        InvalidArgumentError: Its times are.
    """
    slots = Slots(result, claim)
    _check_times(ttl, timeout)
    return Future(slots, ttl, timeout, is_shared=True)


# A short module path makes a short pickle.
restore_future.__module__ = "psk_patterns.futures"


def _check_times(ttl: float, timeout: float) -> None:
    if check_ttl(ttl) < SHORTEST_TTL:
        raise InvalidArgumentError(
            f"a producer's lease of {ttl:g} s is too short to be renewed in time",
            remedy=f"give a ttl of at least {SHORTEST_TTL:g} s",
        )
    check_timeout(timeout)
    if timeout is None:
        raise InvalidArgumentError("a future without a timeout might wait for ever", remedy="give seconds as a number")
