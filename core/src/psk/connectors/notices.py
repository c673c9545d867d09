"""How do threads wait for names in directories? One of them reads what the kernel tells, and wakes the others."""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from typing import TYPE_CHECKING, Final, Protocol

from psk.connectors.inotify import APPEARED, GONE, OVERFLOWN, Inotify
from psk.connectors.waiting import Wake

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.inotify import Event

LOOK_AGAIN_SECONDS: Final = 0.5
"""How often the reader sees to what no event tells: directories that were removed, connectors that were closed."""


class Place(Protocol):
    """An open directory."""

    @property
    def descriptor(self) -> int:
        """Its descriptor, open as long as this object lives."""
        ...


class Waiter:
    """One thread that waits for names in one directory.

    Attributes:
        owner: For whom it waits; whoever closes it wakes the thread.
        place: The directory.
        names: What it waits for.
        appeared: Those of them that the kernel has told of.
        must_look: Whether anything may have happened that the kernel did not tell.
        wake: Set when one of these two changes, or when nobody reads any more.
    """

    __slots__ = ("appeared", "must_look", "names", "owner", "place", "wake", "watch")

    def __init__(self, owner: object, place: Place, names: Sequence[str]) -> None:
        self.owner = owner
        self.place = place
        self.names = names
        self.appeared: set[str] = set()
        self.must_look = False
        self.wake = Wake()
        self.watch = -1


class Watch:
    """Who waits in one watched directory, and for which names."""

    __slots__ = ("by_name", "waiters")

    def __init__(self) -> None:
        self.waiters: set[Waiter] = set()
        self.by_name: dict[bytes, set[Waiter]] = {}

    def add(self, waiter: Waiter) -> None:
        """Let a waiter be told."""
        self.waiters.add(waiter)
        for name in waiter.names:
            self.by_name.setdefault(name.encode(), set()).add(waiter)

    def remove(self, waiter: Waiter) -> None:
        """Forget a waiter."""
        self.waiters.discard(waiter)
        for name in waiter.names:
            waiters = self.by_name.get(name.encode())
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self.by_name[name.encode()]

    def tell(self, name: bytes) -> None:
        """Wake those who wait for a name."""
        for waiter in self.by_name.get(name, ()):
            waiter.appeared.add(name.decode())
            waiter.wake.set()

    def call(self) -> None:
        """Have everybody look for himself."""
        for waiter in self.waiters:
            waiter.must_look = True
            waiter.wake.set()


class Notices:
    """Share one inotify instance between all who wait in this process, in whichever directories.

    A user has few instances (128 by default), so there is one for the process. A directory is watched only while
    somebody waits in it: what happens at other times costs nobody anything. The instance stays open as long as one
    of those lives, and was not closed, for whom somebody has waited: to close it takes 8 ms.
    """

    __slots__ = ("_inotify", "_lock", "_looked", "_owners", "_reader", "_watches")

    def __init__(self) -> None:
        self._inotify: Inotify | None = None
        self._reset()

    def _reset(self) -> None:
        # Re-entrant: an owner may be garbage-collected while this thread holds it.
        self._lock = threading.RLock()
        self._owners: set[weakref.ref[object]] = set()
        self._watches: dict[int, Watch] = {}
        self._reader: Waiter | None = None
        self._looked = 0.0

    def after_fork(self) -> None:
        """Start anew in a forked child: its events are the parent's too, who must not miss them."""
        inotify, self._inotify = self._inotify, None
        self._reset()
        if inotify is not None:
            inotify.close()

    def join(self, waiter: Waiter) -> None:
        """Have the kernel tell of names; what appears from here on is not missed. To be ended by `leave`.

        Raises:
            OSError: It cannot; the limits of instances, watches or descriptors may be reached.
        """
        with self._lock:
            self._owners.add(weakref.ref(waiter.owner, self._collected))
            if self._inotify is None:
                self._inotify = Inotify()
            waiter.watch = self._inotify.watch(waiter.place.descriptor)
            self._watches.setdefault(waiter.watch, Watch()).add(waiter)

    def leave(self, waiter: Waiter) -> None:
        """Wait no more; doing so twice, or without having joined, is no error."""
        with self._lock:
            if self._reader is waiter:
                self._reader = None
            watch = self._watches.get(waiter.watch)
            if watch is not None:
                watch.remove(waiter)
                if not watch.waiters:
                    del self._watches[waiter.watch]
                    if self._inotify is not None:
                        self._inotify.unwatch(waiter.watch)
            self._call_reader(waiter)
        self._close_if_unused()

    def wait(self, waiter: Waiter, deadline: float) -> list[str]:
        """Return names that have appeared, in the waiter's order; all when it must look for itself, or time is up."""
        while True:
            with self._lock:
                appeared, waiter.appeared = waiter.appeared, set()
                must_look, waiter.must_look = waiter.must_look, False
                if must_look or time.monotonic() >= deadline:
                    return list(waiter.names)
                if appeared:
                    return [name for name in waiter.names if name in appeared]
                reads = self._reader is None
                if reads:
                    self._reader = waiter
            if reads:
                self._read(waiter, deadline)
            else:
                waiter.wake.wait(deadline - time.monotonic())

    def forget(self, owner: object) -> None:
        """Wake those who wait for an owner that was closed, and do not keep anything open for it."""
        with self._lock:
            self._owners.discard(weakref.ref(owner))
            for watch in self._watches.values():
                for waiter in watch.waiters:
                    if waiter.owner is owner:
                        waiter.must_look = True
                        waiter.wake.set()
        self._close_if_unused()

    def _read(self, waiter: Waiter, deadline: float) -> None:
        """Read for everybody, until there is something for this waiter or its time is up."""
        inotify = self._inotify
        try:
            while inotify is not None and not (waiter.appeared or waiter.must_look):
                left = deadline - time.monotonic()
                if left <= 0:
                    return
                events = inotify.events(min(left, LOOK_AGAIN_SECONDS))
                with self._lock:
                    for event in events:
                        self._pass_on(event)
                    if time.monotonic() - self._looked >= LOOK_AGAIN_SECONDS:
                        self._look_around()
        finally:
            with self._lock:
                self._reader = None
                self._call_reader(waiter)

    def _pass_on(self, event: Event) -> None:
        if event.kind & OVERFLOWN:
            for watch in self._watches.values():
                watch.call()
            return
        found = self._watches.get(event.watch)
        if found is None:  # of a watch that has ended
            return
        if event.kind & APPEARED:
            found.tell(event.name)
        elif event.kind & GONE:
            del self._watches[event.watch]
            found.call()

    def _look_around(self) -> None:
        """Call those whose directory was removed: while it is open the kernel tells nobody."""
        self._looked = time.monotonic()
        for watch in self._watches.values():
            waiter = next(iter(watch.waiters), None)
            try:
                is_there = waiter is None or os.fstat(waiter.place.descriptor).st_nlink > 0
            except OSError:
                is_there = False
            if not is_there:
                watch.call()

    def _call_reader(self, leaving: Waiter) -> None:
        """Wake one waiter to read on, if nobody does."""
        if self._reader is None:
            for watch in self._watches.values():
                for waiter in watch.waiters:
                    if waiter is not leaving:
                        waiter.wake.set()
                        return

    def _collected(self, owner: weakref.ref[object]) -> None:
        if sys.is_finalizing():  # a thread that was stopped may hold the lock for ever
            return
        with self._lock:
            self._owners.discard(owner)
        self._close_if_unused()

    def _close_if_unused(self) -> None:
        unused = None
        with self._lock:
            if not self._owners and not self._watches:
                unused, self._inotify = self._inotify, None
        if unused is not None:
            unused.close()


NOTICES: Final = Notices()

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=NOTICES.after_fork)
