"""Who renews leases? One daemon thread per channel, alive only while this process holds something there."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
import time
from typing import TYPE_CHECKING, Final

from psk import Store
from psk.errors import ConnectorClosedError, PskError, StoreClosedError
from psk.unraisable import report_ignored
from psk_patterns.errors import LeaseLostError, LifetimeEndedError
from psk_patterns.leases.lease import Lease

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psk_patterns.leases.hold import Hold

IDLE_SECONDS: Final = 0.2
"""How long the thread waits for something to hold before it ends."""

LONGEST_CALL: Final = 5.0
"""Seconds that one renewal may take at most; less where a sixth of the channel's shortest lease is."""

SMALL_QUEUE: Final = 64
"""Up to this length a queue is not searched for what is held no more."""

#: Short steps in memory only: never held across I/O. Re-entrant: a finaliser or a signal handler may come in between.
_lock = threading.RLock()
_keepers: dict[str, _Keeper] = {}
_numbers = itertools.count()


class _Keeper:
    """The leases of one channel, and the thread that renews them; all but `run` is called with the lock held."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.leases: dict[Hold, dict[str, Lease]] = {}
        self._changed = threading.Condition(_lock)
        self._queue: list[tuple[float, int, Lease]] = []
        self._count = 0
        self._shortest = float("inf")
        self._thread: threading.Thread | None = None
        self._private: Store | None = None

    def add(self, lease: Lease) -> None:
        self._shortest = min(self._shortest, lease.hold.ttl)
        known = self.leases.get(lease.hold, {}).get(lease.key)
        if known is not None:
            self.remove(known)
        self.leases.setdefault(lease.hold, {})[lease.key] = lease
        self._count += 1
        self._schedule(lease)
        if self._thread is None or not self._thread.is_alive():  # an interrupt may have kept it from being started
            self._thread = threading.Thread(target=self.run, name="psk-leases", daemon=True)
            try:
                self._thread.start()
            except RuntimeError as error:
                self._thread = None
                self.remove(lease)
                raise LeaseLostError(
                    f"object {lease.key} of {lease.hold.store.shown_uri} cannot be kept alive: there is no thread to be"
                    " had",
                    remedy="raise the limit of threads; at the interpreter's end nothing can be kept",
                ) from error

    def remove(self, lease: Lease) -> None:
        if lease.dropped:
            return
        lease.dropped = True
        self._count -= 1
        held = self.leases[lease.hold]
        del held[lease.key]
        if not held:
            del self.leases[lease.hold]
        if not self.leases:
            self._queue.clear()
            self._shortest = float("inf")
            self._changed.notify_all()
        elif len(self._queue) > max(SMALL_QUEUE, 2 * self._count):
            # What is held no more shall not be remembered until it would have been due.
            self._queue = [entry for entry in self._queue if not entry[2].dropped]
            heapq.heapify(self._queue)

    def _schedule(self, lease: Lease) -> None:
        heapq.heappush(self._queue, (lease.due, next(_numbers), lease))
        if self._queue[0][2] is lease:
            self._changed.notify_all()

    def _next(self) -> Lease | None:
        """Wait for the next lease that is due; None when nothing has been held for a while."""
        # An interrupt in mid-start hides a thread from whoever starts the next one, which takes over.
        while self._thread is threading.current_thread():
            while self._queue and self._queue[0][2].dropped:
                heapq.heappop(self._queue)
            pause = self._queue[0][0] - time.monotonic() if self._queue else IDLE_SECONDS
            if self._queue and pause <= 0:
                return heapq.heappop(self._queue)[2]
            if not self._changed.wait(pause) and not self._queue:
                # Whoever holds something from now on starts another thread.
                del _keepers[self.uri]
                break
        return None

    def run(self) -> None:
        """Renew leases, without holding the lock; the thread's own."""
        try:
            while True:
                with _lock:
                    lease = self._next()
                if lease is None:
                    return
                self._tend(lease)
                with _lock:
                    if not lease.dropped:
                        self._schedule(lease)
                del lease
        finally:
            if self._private is not None:
                self._private.close()

    def _tend(self, lease: Lease) -> None:
        """Renew a lease; drop it if its object is gone or no longer wanted."""
        if lease.guard is not None and not _is_wanted(lease.guard):
            with _lock:
                self.remove(lease)
            return
        start = time.monotonic()
        failure: Exception | None = None
        there = False
        try:
            there = self._renew(lease)
        except Exception as error:  # noqa: BLE001  whatever a channel raises, the others' leases must go on
            failure = error
        if there:
            lease.seen = True
        if there or (failure is None and not lease.seen):
            lease.renewed(start)
        elif failure is None or (lease.seen and lease.is_over):
            self._lose(lease, failure)
        else:
            lease.failed()

    def _renew(self, lease: Lease) -> bool:
        hold = lease.hold
        # No object that is slow may cost another its lease.
        timeout = min(LONGEST_CALL, self._shortest / 6)
        if not hold.store.closed:
            try:
                return hold.store.renew(lease.key, hold.ttl, timeout=timeout)
            except (StoreClosedError, ConnectorClosedError):
                pass  # by its user, meanwhile: what it holds is kept all the same
        if self._private is None:
            self._private = Store.from_config(hold.store.config(), register=False)
        return self._private.renew(lease.key, hold.ttl, timeout=timeout)

    def _lose(self, lease: Lease, failure: Exception | None) -> None:
        with _lock:
            if lease.dropped:
                return
            self.remove(lease)
        hold = lease.hold
        if hold.on_lost is not None:
            try:
                hold.on_lost(lease.key)
            except Exception:  # noqa: BLE001  nobody is there to catch it, and the thread serves others
                report_ignored(hold.on_lost, "psk could not tell that an object was lost")
        elif lease.is_over:  # else somebody evicted it, which is no accident
            lost = LeaseLostError(
                f"object {lease.key} of store {hold.store.name!r} ({hold.store.shown_uri}) is lost: its lease of "
                f"{hold.ttl:g} s was not renewed in time, as this process was stopped or the channel out of reach",
                remedy="put it again, with a longer lease",
            )
            lost.__cause__ = failure
            report_ignored(hold, "psk could not keep an object", lost)


def _is_wanted(guard: Callable[[], bool]) -> bool:
    try:
        return guard()
    except PskError:  # the channel failed: nobody knows, and an object too many does less harm than one too few
        return True
    except Exception:  # noqa: BLE001  as above, but nobody foresaw it
        report_ignored(guard, "psk could not ask whether an object is still wanted")
        return True


def add(hold: Hold, keys: Iterable[str], guard: Callable[[], bool] | None, *, awaited: bool) -> None:
    """Renew leases from now on; what the same hold has of these keys already is replaced."""
    uri = hold.store.uri
    with _lock:
        for key in keys:
            if hold.closed:
                raise LifetimeEndedError(
                    f"object {key} of store {hold.store.name!r} cannot be kept alive: its hold was closed",
                    remedy="keep it with a new one",
                )
            keeper = _keepers.get(uri)
            if keeper is None:
                keeper = _keepers[uri] = _Keeper(uri)
            keeper.add(Lease(hold, key, guard, seen=not awaited))


def discard(hold: Hold, keys: Iterable[str]) -> None:
    """Renew these leases of a hold no more."""
    with _lock:
        for key in keys:
            _remove(hold, key)


def end(hold: Hold) -> None:
    """Renew nothing for a hold any more, now and later."""
    with _lock:
        hold.closed = True
        for key in _keys_of(hold):
            _remove(hold, key)


def keys_of(hold: Hold) -> frozenset[str]:
    """Give the keys whose leases are renewed for a hold."""
    with _lock:
        return _keys_of(hold)


def _keys_of(hold: Hold) -> frozenset[str]:
    keeper = _keepers.get(hold.store.uri)
    return frozenset(() if keeper is None else keeper.leases.get(hold, ()))


def _remove(hold: Hold, key: str) -> None:
    keeper = _keepers.get(hold.store.uri)
    lease = None if keeper is None else keeper.leases.get(hold, {}).get(key)
    if keeper is not None and lease is not None:
        keeper.remove(lease)


def _forget_parent() -> None:
    global _lock, _keepers  # noqa: PLW0603  the threads do not exist in the child, and what is held is the parent's
    _lock = threading.RLock()
    _keepers = {}


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
