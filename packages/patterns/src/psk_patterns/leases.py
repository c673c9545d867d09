"""Keep objects alive by renewing their leases, in one daemon thread per channel."""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from psk import Store
from psk.connectors import SupportsExpiry, check_ttl
from psk.errors import (
    CapabilityError,
    ConnectorClosedError,
    InvalidArgumentError,
    PskError,
    StoreClosedError,
    report_ignored,
)
from psk.fork import after_fork_in_child
from psk_patterns.errors import LeaseLostError, LifetimeEndedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

SHORTEST_TTL: Final = 0.3
"""Seconds: a shorter lease could not be renewed in time on a busy machine."""

IDLE_SECONDS: Final = 0.2
"""Seconds that a thread without leases waits for new ones before it ends."""

LONGEST_CALL: Final = 5.0
"""Seconds that one renewal may take at most; less where a sixth of the channel's shortest lease is less."""

FIRST_PAUSE: Final = 0.1
"""Seconds until a failed renewal is tried again; doubled each time."""

SMALL_QUEUE: Final = 64
"""Up to this length a queue is not searched for discarded leases."""


class LeaseHolder:
    """Keep objects of one channel alive until they are discarded, or until this process ends.

    Each lease is renewed when a third of it is over, in one daemon thread per channel. A process that cannot renew for
    a whole `ttl`, because it was stopped or its channel was unreachable, counts as dead: the objects are lost. A holder
    that is garbage keeps renewing what it has. A forked child's copy has no leases and can be used again.

    Args:
        store: The store of the objects; closing it does not end their leases.
        ttl: Seconds of a lease, at least 0.3.
        on_lost: Called in the renewing thread with the key of each object that is gone; it must be quick. Without it,
            an object whose lease was not renewed in time is reported to `sys.unraisablehook`.

    Attributes:
        ttl: Seconds of a lease.
        closed: Whether `close()` was called.

    Raises:
        CapabilityError: The channel does not support expiry.
        InvalidArgumentError: `ttl` is not a number of seconds, or too small.
    """

    def __init__(self, store: Store, ttl: float, *, on_lost: Callable[[str], None] | None = None) -> None:
        check_expiry(store)
        self.ttl = check_lease(ttl)
        self.store = store
        self.on_lost = on_lost
        self.closed = False

    def add(self, *keys: str, guard: Callable[[], bool] | None = None, awaited: bool = False) -> None:
        """Keep objects alive from now on; a key that was added before starts a new lease.

        Args:
            keys: The objects; they were put, or renewed, with this `ttl` just now.
            guard: Called in the renewing thread before each renewal, so it must be quick and have timeouts. If it
                returns False, the key is discarded; if it raises an error, the lease is renewed.
            awaited: The keys may have no object yet: none counts as lost before it has been seen.

        Raises:
            LifetimeEndedError: The holder was closed.
            LeaseLostError: No thread can be started to renew the leases.
        """
        uri = self.store.uri
        with _lock:
            for key in keys:
                if self.closed:
                    raise LifetimeEndedError(
                        f"object {key} of store {self.store.name!r} cannot be kept alive: its LeaseHolder was closed",
                        remedy="use a new one",
                    )
                renewer = _renewers.get(uri)
                if renewer is None:
                    renewer = _renewers[uri] = _Renewer(uri)
                renewer.add(_Lease(self, key, guard, seen=not awaited))

    def discard(self, *keys: str) -> None:
        """Stop renewing; the objects stay until they expire or are evicted. Unknown keys are ignored."""
        with _lock:
            renewer = _renewers.get(self.store.uri)
            for key in keys:
                lease = None if renewer is None else renewer.leases.get(self, {}).get(key)
                if renewer is not None and lease is not None:
                    renewer.remove(lease)

    def close(self) -> None:
        """Stop renewing all leases; closing twice has no effect."""
        with _lock:
            self.closed = True
            self.discard(*self.keys)

    @property
    def keys(self) -> frozenset[str]:
        """The keys of the objects that are kept alive."""
        with _lock:
            renewer = _renewers.get(self.store.uri)
            return frozenset(() if renewer is None else renewer.leases.get(self, ()))

    def __repr__(self) -> str:
        return f"LeaseHolder({self.store.name!r}, ttl={self.ttl:g}, {len(self.keys)} objects)"


def check_expiry(store: Store) -> None:
    """Refuse a channel without expiry.

    Raises:
        CapabilityError: It has none.
    """
    if not store.supports(SupportsExpiry):
        raise CapabilityError(
            f"store {store.name!r} cannot keep a lease: channel {store.connector.scheme!r} has no SupportsExpiry",
            remedy="use a ContextLifetime, evict the objects when they are no longer needed, or use another channel",
        )


def check_lease(ttl: float) -> float:
    """Return the seconds of a lease, if it can be renewed in time.

    Raises:
        InvalidArgumentError: It is not a number of seconds, or below `SHORTEST_TTL`.
    """
    if check_ttl(ttl) < SHORTEST_TTL:
        raise InvalidArgumentError(
            f"a lease of {ttl:g} s is too short to be renewed in time", remedy=f"give at least {SHORTEST_TTL:g} s"
        )
    return ttl


@contextmanager
def reopened(store: Store) -> Iterator[Store]:
    """Yield the store itself while it is open, else a private one over its channel, closed at the end of the block.

    Raises:
        PskError: The channel cannot be opened again.
    """
    if not store.closed:
        yield store
        return
    with Store.from_config(store.config(), register=False) as private:
        yield private


class _Lease:
    """The lease of one object; times are those of `time.monotonic`, so steps of the clock do not matter.

    Attributes:
        due: When to renew it.
        until: Until when the channel keeps the object at least, as far as this process knows.
        seen: Whether there ever was an object.
        dropped: Whether it was discarded.
    """

    __slots__ = ("dropped", "due", "guard", "holder", "key", "pause", "seen", "until")

    def __init__(self, holder: LeaseHolder, key: str, guard: Callable[[], bool] | None, *, seen: bool) -> None:
        self.holder = holder
        self.key = key
        self.guard = guard
        self.seen = seen
        self.dropped = False
        self.pause = 0.0
        self.renewed(time.monotonic())

    def renewed(self, when: float) -> None:
        """Record a renewal that was requested at this time."""
        self.due = when + self.holder.ttl / 3
        self.until = when + self.holder.ttl
        self.pause = min(FIRST_PAUSE, self.holder.ttl / 10)

    def failed(self) -> None:
        """Record a failed renewal: try again soon, and less soon each time."""
        self.due = time.monotonic() + self.pause
        self.pause = min(2 * self.pause, self.holder.ttl / 10)

    @property
    def is_over(self) -> bool:
        """Whether a whole lease has passed since the last renewal."""
        return time.monotonic() > self.until


class _Renewer:
    """The leases of one channel and the thread that renews them; all methods but `run` need the lock."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.leases: dict[LeaseHolder, dict[str, _Lease]] = {}
        self._changed = threading.Condition(_lock)
        self._queue: list[tuple[float, int, _Lease]] = []
        self._count = 0
        self._shortest = float("inf")
        self._thread: threading.Thread | None = None
        self._private: Store | None = None

    def add(self, lease: _Lease) -> None:
        self._shortest = min(self._shortest, lease.holder.ttl)
        known = self.leases.get(lease.holder, {}).get(lease.key)
        if known is not None:
            self.remove(known)
        self.leases.setdefault(lease.holder, {})[lease.key] = lease
        self._count += 1
        self._schedule(lease)
        if self._thread is None or not self._thread.is_alive():  # an interrupt may have prevented its start
            self._thread = threading.Thread(target=self.run, name="psk-leases", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread = None
                self.remove(lease)
                raise LeaseLostError(
                    f"object {lease.key} of {lease.holder.store.shown_uri} cannot be kept alive: no thread can be "
                    "started",
                    remedy="raise the limit of threads; while the interpreter exits, no lease can be renewed",
                ) from error

    def remove(self, lease: _Lease) -> None:
        if lease.dropped:
            return
        lease.dropped = True
        self._count -= 1
        held = self.leases[lease.holder]
        del held[lease.key]
        if not held:
            del self.leases[lease.holder]
        if not self.leases:
            self._queue.clear()
            self._shortest = float("inf")
            self._changed.notify_all()
        elif len(self._queue) > max(SMALL_QUEUE, 2 * self._count):
            # Discarded leases must not fill the queue until they would have been due.
            self._queue = [entry for entry in self._queue if not entry[2].dropped]
            heapq.heapify(self._queue)

    def _schedule(self, lease: _Lease) -> None:
        heapq.heappush(self._queue, (lease.due, next(_numbers), lease))
        if self._queue[0][2] is lease:
            self._changed.notify_all()

    def _next(self) -> _Lease | None:
        """Wait for the next lease that is due; None when there have been no leases for a while."""
        # An interrupt during its start hides a thread from `add`, which starts another, and that one takes over.
        while self._thread is threading.current_thread():
            while self._queue and self._queue[0][2].dropped:
                heapq.heappop(self._queue)
            pause = self._queue[0][0] - time.monotonic() if self._queue else IDLE_SECONDS
            if self._queue and pause <= 0:
                return heapq.heappop(self._queue)[2]
            if not self._changed.wait(pause) and not self._queue:
                # The next lease of this channel starts another thread.
                del _renewers[self.uri]
                break
        return None

    def run(self) -> None:
        """Renew leases until there are none, without holding the lock during I/O."""
        try:
            while True:
                with _lock:
                    lease = self._next()
                if lease is None:
                    return
                self._process(lease)
                with _lock:
                    if not lease.dropped:
                        self._schedule(lease)
                del lease
        finally:
            if self._private is not None:
                self._private.close()

    def _process(self, lease: _Lease) -> None:
        """Renew a lease, or drop it if its object is gone or no longer wanted."""
        if lease.guard is not None and not _is_wanted(lease.guard):
            with _lock:
                self.remove(lease)
            return
        start = time.monotonic()
        failure: Exception | None = None
        there = False
        try:
            there = self._renew(lease)
        except Exception as error:  # noqa: BLE001  whatever a channel raises, the other leases must be renewed
            failure = error
        if there:
            lease.seen = True
        if there or (failure is None and not lease.seen):
            lease.renewed(start)
        elif failure is None or (lease.seen and lease.is_over):
            self._lose(lease, failure)
        else:
            lease.failed()

    def _renew(self, lease: _Lease) -> bool:
        holder = lease.holder
        # A slow renewal must not cost another object its lease.
        timeout = min(LONGEST_CALL, self._shortest / 6)
        if not holder.store.closed:
            try:
                return holder.store.renew(lease.key, holder.ttl, timeout=timeout)
            except (StoreClosedError, ConnectorClosedError):
                pass  # the user has just closed it, which does not end its leases
        if self._private is None:
            self._private = Store.from_config(holder.store.config(), register=False)
        return self._private.renew(lease.key, holder.ttl, timeout=timeout)

    def _lose(self, lease: _Lease, failure: Exception | None) -> None:
        with _lock:
            if lease.dropped:
                return
            self.remove(lease)
        holder = lease.holder
        if holder.on_lost is not None:
            try:
                holder.on_lost(lease.key)
            except Exception:  # noqa: BLE001  no caller could catch it, and the thread serves others
                report_ignored(holder.on_lost, "psk could not report that an object was lost")
        elif lease.is_over:  # otherwise somebody evicted it, which is not an accident
            lost = LeaseLostError(
                f"object {lease.key} of store {holder.store.name!r} ({holder.store.shown_uri}) is lost: its lease of "
                f"{holder.ttl:g} s was not renewed in time, because this process was stopped or the channel was "
                "unreachable",
                remedy="put it again, with a longer lease",
            )
            lost.__cause__ = failure
            report_ignored(holder, "psk could not keep an object alive", lost)


def _is_wanted(guard: Callable[[], bool]) -> bool:
    try:
        return guard()
    except PskError:  # the channel failed: keeping an object too long does less harm than losing it
        return True
    except Exception:  # noqa: BLE001  the same, for an error of the guard itself
        report_ignored(guard, "psk could not find out whether an object is still wanted")
        return True


#: Held for short steps in memory, never during I/O. Re-entrant: a finaliser or signal handler may run in between.
_lock = threading.RLock()
_renewers: dict[str, _Renewer] = {}
_numbers = itertools.count()


@after_fork_in_child
def _reset() -> None:
    global _lock, _renewers  # noqa: PLW0603  the threads do not exist in the child, and the leases are the parent's
    _lock = threading.RLock()
    _renewers = {}
