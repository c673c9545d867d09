"""How do objects end with the process that wants them, also when that is killed?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.connectors import SupportsExpiry
from psk.errors import CapabilityError, InvalidArgumentError
from psk_patterns.errors import LeaseLostError, LifetimeEndedError
from psk_patterns.leases import Hold, reopened
from psk_patterns.lifetimes.expiry import is_date, seconds_of
from psk_patterns.lifetimes.lifetime import EvictingLifetime

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psk import Store
    from psk_patterns.lifetimes.expiry import Expiry

SHORTEST_REST: Final = 0.001
"""Seconds: what is put for a lifetime that has just ended must have some time to live."""

CALL_SECONDS: Final = 10.0
"""Seconds that the channel may take for one renewal that a caller waits for."""


class LeaseLifetime(EvictingLifetime):
    """Evict objects at `close()`, and let the channel drop them when nobody keeps them alive any more.

    Objects put for it (`store.put(obj, lifetime=lease)`) have its `ttl`; those attached later get it at once. With
    `renew`, the leases are renewed in the background until `close()`; when the process dies, or cannot run or reach the
    channel for a whole `ttl`, its objects go within that time. Without, the lifetime ends by itself when the time is
    over, unless it is extended; nothing waits for that, so it never delays the interpreter's exit.

    The channel counts the time: a step of this computer's clock changes nothing.

    Args:
        store: Where keys are that are attached without a store.
        expiry: Length of the lease: seconds, a timedelta or, without `renew`, a date with time zone. With `renew` at
            least 0.3 s; it is also how long the objects outlive a killed process.
        name: What messages call the lifetime.
        renew: Whether to keep the objects alive until `close()`.

    Raises:
        CapabilityError: The channel keeps no expiry times; `ContextLifetime` works there.
        InvalidArgumentError: `expiry` is not possible.
    """

    def __init__(self, store: Store, expiry: Expiry, *, name: str | None = None, renew: bool = True) -> None:
        super().__init__(store, name)
        if renew and is_date(expiry):
            raise InvalidArgumentError(
                f"{self._members.title} cannot both be renewed and end at {expiry}",
                remedy="give seconds, or renew=False",
            )
        seconds = seconds_of(expiry)
        self._holds: dict[str, Hold] | None = None
        if renew:
            self._holds = {store.uri: Hold(store, seconds)}
        else:
            self._check(store)
        self._seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def ttl(self) -> float:
        """Seconds for which the channel keeps what is put now."""
        return self._seconds if self._holds is not None else max(self._end - time.monotonic(), SHORTEST_REST)

    def extend(self, expiry: Expiry) -> None:
        """Let the lifetime end later; one that is renewed needs no extending, and stays as it is.

        Args:
            expiry: What to add to the time that is left: seconds or a timedelta; or a new date of the end, with time
                zone.

        Raises:
            LifetimeEndedError: It has ended already.
            LeaseLostError: The channel failed: some objects may go at the time that was set before.
            InvalidArgumentError: `expiry` is not possible, or is in the past.
        """
        seconds = seconds_of(expiry)
        if self.done():
            raise LifetimeEndedError(f"{self._members.title} has ended and cannot be extended", remedy="make a new one")
        if self._holds is not None:
            return
        with self._members.lock:
            self._end = seconds + (time.monotonic() if is_date(expiry) else self._end)
        failures = [
            (store, failure)
            for store, keys in self._members.by_store().items()
            if (failure := _extended(keys, store, self.ttl)) is not None
        ]
        if failures:
            store, failure = failures[0]
            raise LeaseLostError(
                f"{self._members.title} could not extend all its leases in store {store.name!r}: {failure}",
                remedy="extend it again, by little, before the time that was set before is over",
            ) from failure

    def close(self, *, close_stores: bool = False) -> None:
        """End: renew nothing any more and evict everything attached; see `ContextLifetime.close`.

        Raises:
            LifetimeCloseError: Some objects could not be evicted; they go when their time is over.
        """
        self._members.end()
        for hold in list((self._holds or {}).values()):
            hold.close()
        super().close(close_stores=close_stores)

    def done(self) -> bool:
        """Tell whether the end has come."""
        return super().done() or (self._holds is None and time.monotonic() >= self._end)

    def _attach(self, keys: tuple[str, ...] | list[str], store: Store) -> None:
        self._check(store)
        if self.done():
            self._members.end()
        self._members.add(keys, store)
        # Only now does what was attached later, and may have had no end, have one.
        there, missing, failure = _renew(keys, store, self.ttl)
        if self._holds is not None:
            hold = self._holds.get(store.uri) or self._holds.setdefault(store.uri, Hold(store, self._seconds))
            hold.add(*there)
            hold.add(*missing, awaited=True)  # reserved ones, whose objects may come
            if super().done():  # since a moment ago, in another thread
                hold.close()
        if failure is not None:
            raise failure

    def _check(self, store: Store) -> None:
        if not store.supports(SupportsExpiry):
            raise CapabilityError(
                f"{self._members.title} cannot have objects of store {store.name!r}: channel "
                f"{store.connector.scheme!r} has no SupportsExpiry",
                remedy="use a ContextLifetime, or another channel",
            )


def _renew(keys: Iterable[str], store: Store, ttl: float) -> tuple[list[str], list[str], Exception | None]:
    """Renew leases: give the keys that have an object or may have one, those that have none, and the first failure."""
    there: list[str] = []
    missing: list[str] = []
    failure: Exception | None = None
    for key in keys:
        found = True
        if failure is None:  # else the channel is out of reach, and the others would only take as long
            try:
                found = store.renew(key, ttl, timeout=CALL_SECONDS)
            except Exception as error:  # noqa: BLE001  raised by the caller, when everything is in order
                failure = error
        (there if found else missing).append(key)
    return there, missing, failure


def _extended(keys: Iterable[str], store: Store, ttl: float) -> Exception | None:
    try:
        with reopened(store) as channel:
            return _renew(keys, channel, ttl)[2]
    except Exception as error:  # noqa: BLE001  the channel cannot be opened: the other stores' are to be extended
        return error
