"""Lifetimes that the channel ends when the process that renews them is gone."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.connectors import check_ttl
from psk.errors import InvalidArgumentError
from psk_patterns.errors import LeaseLostError, LifetimeEndedError
from psk_patterns.leases import LeaseHolder, check_expiry, reopened
from psk_patterns.lifetimes.lifetime import EvictingLifetime

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime, timedelta

    from psk import Store

    Expiry = float | timedelta | datetime

SHORTEST_REST: Final = 0.001
"""Seconds: objects put for a lifetime that has just ended need some time to live."""

CALL_SECONDS: Final = 10.0
"""Seconds that the channel may take for one renewal that a caller waits for."""


class LeaseLifetime(EvictingLifetime):
    """Evict objects at `close()`, and let the channel drop them when no process renews them any more.

    Objects put for it (`store.put(obj, lifetime=lease)`) have its `ttl`; those attached later get it at once. With
    `renew`, the leases are renewed in the background until `close()`; if the process dies, or cannot run or reach the
    channel for a whole `ttl`, its objects go within that time. Without `renew`, the lifetime ends when the time is
    over, unless it is extended; no thread waits for that, so it never delays the interpreter's exit.

    The channel measures the time: a step of this computer's clock changes nothing.

    Args:
        store: The store of keys that are attached without one.
        expiry: Length of the lease: seconds, a timedelta or, without `renew`, a date with time zone. With `renew` at
            least 0.3 s; it is also how long the objects outlive a killed process.
        name: What messages call the lifetime.
        renew: Whether to keep the objects alive until `close()`.

    Raises:
        CapabilityError: The channel does not support expiry; `ContextLifetime` works there.
        InvalidArgumentError: `expiry` is not valid.
    """

    def __init__(self, store: Store, expiry: Expiry, *, name: str | None = None, renew: bool = True) -> None:
        super().__init__(store, name)
        if renew and _is_date(expiry):
            raise InvalidArgumentError(
                f"{self._title} cannot both be renewed and end at {expiry}",
                remedy="give seconds, or renew=False",
            )
        seconds = _seconds_of(expiry)
        self._holders: dict[str, LeaseHolder] | None = None
        if renew:
            self._holders = {store.uri: LeaseHolder(store, seconds)}
        else:
            check_expiry(store)
        self._seconds = seconds
        self._deadline = time.monotonic() + seconds

    @property
    def ttl(self) -> float:
        """Seconds for which the channel keeps objects that are put now."""
        return self._seconds if self._holders is not None else max(self._deadline - time.monotonic(), SHORTEST_REST)

    def extend(self, expiry: Expiry) -> None:
        """Let the lifetime end later; has no effect on one that is renewed.

        Args:
            expiry: What to add to the time that is left: seconds or a timedelta; or a new date of the end, with time
                zone.

        Raises:
            LifetimeEndedError: It has ended already.
            LeaseLostError: The channel failed: some objects may go at the time that was set before.
            InvalidArgumentError: `expiry` is not valid, or is in the past.
        """
        seconds = _seconds_of(expiry)
        if self.done():
            raise LifetimeEndedError(f"{self._title} has ended and cannot be extended", remedy="make a new one")
        if self._holders is not None:
            return
        with self._lock:
            self._deadline = seconds + (time.monotonic() if _is_date(expiry) else self._deadline)
        failures = {store: _extended(keys, store, self.ttl) for store, keys in self._by_store().items()}
        for store, failure in failures.items():
            if failure is not None:
                raise LeaseLostError(
                    f"{self._title} could not extend all its leases in store {store.name!r}: {failure}",
                    remedy="extend it again, by a short time, before the time that was set before is over",
                ) from failure

    def close(self, *, close_stores: bool = False) -> None:
        """Stop renewing and evict everything attached; see `ContextLifetime.close`.

        Raises:
            LifetimeCloseError: Some objects could not be evicted; they go when their time is over.
        """
        self._end()
        for holder in list((self._holders or {}).values()):
            holder.close()
        super().close(close_stores=close_stores)

    def done(self) -> bool:
        """Return whether the lifetime has ended."""
        return super().done() or (self._holders is None and time.monotonic() >= self._deadline)

    def _attach(self, keys: Sequence[str], store: Store) -> None:
        check_expiry(store)
        if self.done():
            self._end()
        super()._attach(keys, store)
        # Objects that were attached later may have had no expiry until now.
        there, missing, failure = _renew(keys, store, self.ttl)
        if self._holders is not None:
            holder = self._holders.get(store.uri) or self._holders.setdefault(
                store.uri, LeaseHolder(store, self._seconds)
            )
            holder.add(*there)
            holder.add(*missing, awaited=True)  # reserved keys, whose objects may follow
            if super().done():  # another thread has just closed it
                holder.close()
        if failure is not None:
            raise failure


def _is_date(expiry: Expiry) -> bool:
    from datetime import datetime

    return isinstance(expiry, datetime)


def _seconds_of(expiry: Expiry) -> float:
    """Return a length of time in seconds; of a date, the time until then by the clock as it is set now.

    Raises:
        InvalidArgumentError: It is not a time, not positive, beyond a century, or a date without time zone.
    """
    from datetime import datetime, timedelta

    if isinstance(expiry, datetime):
        if expiry.tzinfo is None:
            raise InvalidArgumentError(
                f"the expiry {expiry.isoformat()} has no time zone",
                remedy="give a date with tzinfo, as datetime.now(UTC) + timedelta(hours=1), or seconds",
            )
        expiry -= datetime.now(expiry.tzinfo)
    return check_ttl(expiry.total_seconds() if isinstance(expiry, timedelta) else expiry, "expiry")


def _renew(keys: Iterable[str], store: Store, ttl: float) -> tuple[list[str], list[str], Exception | None]:
    """Renew leases; return the keys that have an object or may have one, those that have none, and the first error."""
    there: list[str] = []
    missing: list[str] = []
    failure: Exception | None = None
    for key in keys:
        found = True
        if failure is None:  # otherwise the channel is unreachable, and each further call would wait as long
            try:
                found = store.renew(key, ttl, timeout=CALL_SECONDS)
            except Exception as error:  # noqa: BLE001  raised by the caller, when its own state is complete
                failure = error
        (there if found else missing).append(key)
    return there, missing, failure


def _extended(keys: Iterable[str], store: Store, ttl: float) -> Exception | None:
    try:
        with reopened(store) as channel:
            return _renew(keys, channel, ttl)[2]
    except Exception as error:  # noqa: BLE001  the channel cannot be opened: the other stores' are to be extended
        return error
