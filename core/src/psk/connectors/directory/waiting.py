"""Wait for objects of a directory: told by the kernel through inotify(7) on local file systems, by looking elsewhere.

All who wait in a process share one inotify instance.
"""

from __future__ import annotations

import errno
import os
import sys
import threading
import time
import weakref
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from psk.connectors import validate_plain_key
from psk.connectors.directory.objects import Objects
from psk.connectors.waiting import LONG_PAUSE, PATIENT_AFTER, SHORT_PAUSE, Wake, WakePipe, poll
from psk.errors import ChannelUnavailableError, ConnectorClosedError, ForkedConnectorError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    import ctypes
    import select
    from collections.abc import Callable, Collection, Sequence

    from psk.connectors import Key
    from psk.connectors.directory.channel import Channel
    from psk.connectors.directory.directory import Directory

# From linux/inotify.h.
APPEARED: Final = 0x100 | 0x80
"""IN_CREATE | IN_MOVED_TO: a file got a name, by a link or by a rename."""

GONE: Final = 0x400 | 0x2000 | 0x8000
"""IN_DELETE_SELF | IN_UNMOUNT | IN_IGNORED: the directory is watched no more."""

OVERFLOWN: Final = 0x4000
"""IN_Q_OVERFLOW: events were lost, of whichever directory."""

_DELETED: Final = 0x400
_ONLY_DIRECTORIES: Final = 0x01000000

_HEAD: Final = Struct("iIII")
_BUFFER_BYTES: Final = 64 * 1024


class Event(NamedTuple):
    """An event of the kernel: its watched directory, its kind, and the name it is about."""

    watch: int
    kind: int
    name: bytes


class Inotify:
    """Hold one inotify instance: one descriptor, and one of the few that a user may have.

    Raises:
        OSError: This system has none, or no more of them.
    """

    __slots__ = ("_library", "descriptor")

    def __init__(self) -> None:
        self.descriptor = -1
        self._library = _library()
        self.descriptor = self._library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self.descriptor < 0:
            raise _last_error()

    def watch(self, descriptor: int) -> int:
        """Watch an open directory; return the number that its events will bear, the same for the same directory.

        Raises:
            OSError: It cannot be watched.
        """
        # By its descriptor: the path may name another directory by now.
        path = f"/proc/self/fd/{descriptor}".encode()
        number: int = self._library.inotify_add_watch(self.descriptor, path, APPEARED | _DELETED | _ONLY_DIRECTORIES)
        if number < 0:
            raise _last_error()
        return number

    def unwatch(self, number: int) -> None:
        """Stop watching a directory; no error if it is gone."""
        self._library.inotify_rm_watch(self.descriptor, number)

    def events(self, seconds: float) -> list[Event]:
        """Return what has happened; if that is nothing, wait for something, but no longer than so many seconds."""
        import select

        ready = select.poll()
        ready.register(self.descriptor, select.POLLIN)
        if not ready.poll(max(seconds, 0.0) * 1000):
            return []
        try:
            data = os.read(self.descriptor, _BUFFER_BYTES)
        except BlockingIOError:
            return []
        found = []
        start = 0
        while start < len(data):
            watch, kind, _, length = _HEAD.unpack_from(data, start)
            start += _HEAD.size
            found.append(Event(watch, kind, data[start : start + length].rstrip(b"\0")))
            start += length
        return found

    def close(self) -> None:
        """Close it; the kernel forgets its watches."""
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _library() -> ctypes.CDLL:
    try:
        import ctypes
        import select  # noqa: F401  # by `events`: it must be known now whether it can be imported

        library = ctypes.CDLL(None, use_errno=True)
        library.inotify_init1  # noqa: B018  looked up: another system has none
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise OSError(errno.ENOSYS, "no inotify on this system") from error
    return library


def _last_error() -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))


LOOK_AGAIN_SECONDS: Final = 0.5
"""Seconds between two checks of what no event reports: whether a directory was removed."""


class Waiter:
    """One thread, or one watcher, that waits for names in one directory.

    Attributes:
        owner: The channel for which it waits: closing it wakes the thread.
        place: The directory.
        names: What it waits for.
        bell: A watcher's bell, which its event loop polls; None for a thread that blocks.
        appeared: Those of the names that the kernel has told of.
        must_look: Whether anything may have happened that the kernel did not tell.
        woken: What a thread that blocks waits for.
    """

    __slots__ = ("appeared", "bell", "must_look", "names", "owner", "place", "watch", "woken")

    def __init__(self, owner: object, place: Directory, names: Collection[str], bell: WakePipe | None = None) -> None:
        self.owner = owner
        self.place = place
        self.names = names
        self.bell = bell
        self.appeared: set[str] = set()
        self.must_look = False
        self.watch = -1
        self.woken = Wake()

    def wake(self) -> None:
        """Have it look at what has appeared, or read on."""
        if self.bell is None:
            self.woken.set()
        else:
            self.bell.set()


class Watch:
    """The waiters of one watched directory, by the names that they wait for."""

    __slots__ = ("by_name", "waiters")

    def __init__(self) -> None:
        self.waiters: set[Waiter] = set()
        self.by_name: dict[bytes, set[Waiter]] = {}

    def add(self, waiter: Waiter, names: Collection[str]) -> None:
        """Let a waiter be told of names."""
        self.waiters.add(waiter)
        for name in names:
            self.by_name.setdefault(name.encode(), set()).add(waiter)

    def remove(self, waiter: Waiter, names: Collection[str]) -> None:
        """Tell a waiter no more of names."""
        for name in names:
            waiters = self.by_name.get(name.encode())
            if waiters is not None:
                waiters.discard(waiter)
                if not waiters:
                    del self.by_name[name.encode()]

    def tell(self, name: bytes) -> None:
        """Wake those who wait for a name."""
        for waiter in self.by_name.get(name, ()):
            waiter.appeared.add(name.decode())
            waiter.wake()

    def call(self) -> None:
        """Have all of them look for themselves."""
        for waiter in self.waiters:
            waiter.must_look = True
            waiter.wake()


class Arrivals:
    """Share one inotify instance between all waiters of this process, in any directories.

    A user has few instances (128 by default), so there is one for the process. A directory is watched only while it has
    a waiter, so puts at other times cost nothing. The instance stays open until the last channel in which there was a
    waiter is closed or collected, since closing it takes 8 ms.
    """

    __slots__ = ("__weakref__", "_inotify", "_lock", "_looked", "_owners", "_reader", "_watches")

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
        """Start again in a forked child: its events are the parent's too, who must not miss them."""
        inotify, self._inotify = self._inotify, None
        self._reset()
        if inotify is not None:
            inotify.close()

    def join(self, waiter: Waiter) -> int:
        """Have the kernel tell of names; what appears from here on is not missed. To be ended by `leave`.

        Returns:
            The descriptor of the inotify instance.

        Raises:
            OSError: It cannot; the limits of instances, watches or descriptors may be reached.
        """
        with self._lock:
            self._owners.add(weakref.ref(waiter.owner, self._collected))
            if self._inotify is None:
                self._inotify = Inotify()
            waiter.watch = self._inotify.watch(waiter.place.descriptor)
            self._watches.setdefault(waiter.watch, Watch()).add(waiter, waiter.names)
            return self._inotify.descriptor

    def change(self, waiter: Waiter, add: Collection[str] = (), remove: Collection[str] = ()) -> None:
        """Change of which names a waiter that has joined is told; its own `names` are its own matter."""
        with self._lock:
            watch = self._watches.get(waiter.watch)
            if watch is not None:
                watch.add(waiter, add)
                watch.remove(waiter, remove)

    def collect(self, waiter: Waiter) -> tuple[set[str], bool]:
        """Read what the kernel tells, for everybody, without waiting.

        Returns:
            Which of the waiter's names have appeared, and whether it must look for all of them.
        """
        inotify = self._inotify
        events = [] if inotify is None else inotify.events(0.0)
        with self._lock:
            for event in events:
                self._pass_on(event)
            appeared, waiter.appeared = waiter.appeared, set()
            must_look, waiter.must_look = waiter.must_look, False
        return appeared, must_look

    def leave(self, waiter: Waiter) -> None:
        """End what `join` began; doing so twice, or without `join`, is not an error."""
        with self._lock:
            if self._reader is waiter:
                self._reader = None
            watch = self._watches.get(waiter.watch)
            if watch is not None:
                watch.remove(waiter, waiter.names)
                watch.waiters.discard(waiter)
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
                waiter.woken.wait(deadline - time.monotonic())

    def forget(self, owner: object) -> None:
        """Wake those who wait for an owner that was closed, and do not keep anything open for it."""
        with self._lock:
            self._owners.discard(weakref.ref(owner))
            for watch in self._watches.values():
                for waiter in watch.waiters:
                    if waiter.owner is owner:
                        waiter.must_look = True
                        waiter.wake()
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
        """Call the waiters whose directory was removed, which the kernel does not tell while it is open."""
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
        """Wake one waiter to read on, if none is reading."""
        if self._reader is None:
            for watch in self._watches.values():
                for waiter in watch.waiters:
                    if waiter is not leaving and waiter.bell is None:  # an event loop polls the instance itself
                        waiter.wake()
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


ARRIVALS: Final = after_fork_in_child(Arrivals(), Arrivals.after_fork)

GRACE_SECONDS: Final = 1.0
"""Seconds that the directory may be missing during a wait: a process that clears it by removing it makes it again."""


def await_objects(channel: Channel, names: Sequence[str], deadline: float) -> list[str]:
    """Wait until at least one of several objects exists.

    Where the kernel cannot tell (a network file system, its limits are reached, or
    it is not Linux) the names are looked up again and again. One that appears and is removed at once may be missed.

    Args:
        channel: The directory. One inotify instance stays open as long as the channel is in use.
        names: The objects.
        deadline: When to look for the last time, by `time.monotonic`.

    Returns:
        Those that exist, in their order; empty if none did in time.

    Raises:
        ChannelUnavailableError: The directory was removed and not made again.
        ConnectorClosedError: The connector was closed.
    """
    look = Look(channel, deadline)
    if not channel.opened().directory.is_local:
        return poll(lambda: look(names), deadline)  # the kernel does not tell of other hosts' changes
    try:
        found = look(names)
        while not found and time.monotonic() < deadline:
            waiter = Waiter(channel, channel.opened().directory, names)
            try:
                try:
                    ARRIVALS.join(waiter)
                except OSError:
                    return poll(lambda: look(names), deadline)
                # First watched, then looked: nothing can appear in between.
                found = look(names) or look(ARRIVALS.wait(waiter, deadline))
            finally:
                try:
                    ARRIVALS.leave(waiter)
                except BaseException:  # an interrupt, but others may wait for this one to read on
                    ARRIVALS.leave(waiter)
                    raise
        return look(names) or found if found and len(names) > 1 else found
    except ConnectorClosedError:
        ARRIVALS.forget(channel)  # once more: the first time may have been before it joined
        raise


class Look:
    """Look which objects exist, for a wait that ends at a deadline."""

    __slots__ = ("_channel", "_deadline", "_missing_since")

    def __init__(self, channel: Channel, deadline: float) -> None:
        self._channel = channel
        self._deadline = deadline
        self._missing_since: float | None = None

    def __call__(self, names: Sequence[str]) -> list[str]:
        """Return those of some names that have an object."""
        try:
            found = self._channel.run("read", Objects.present, names)
        except ChannelUnavailableError as error:
            now = time.monotonic()
            if self._missing_since is None:
                self._missing_since = now
            over = min(self._missing_since + GRACE_SECONDS, self._deadline)
            if now >= over or not isinstance(error.__cause__, FileNotFoundError):
                raise
            return []
        self._missing_since = None
        return found


class Watcher:
    """Registered waits of one event loop; see `psk.connectors.Watcher`.

    Its descriptor is an epoll instance over the inotify instance of the process and a bell of its own: the kernel tells
    either, or another thread that has read what the kernel told rings the bell.

    Args:
        channel: The channel.
    """

    __slots__ = ("_bell", "_callbacks", "_channel", "_look", "_poll", "_process", "_since", "_unseen", "_waiter")

    def __init__(self, channel: Channel) -> None:
        self._bell: WakePipe | None = None
        self._poll: select.epoll | None = None
        self._waiter: Waiter | None = None
        self._callbacks: dict[Key, Callable[[Key], object]] = {}
        self._unseen: set[Key] = set()  # not looked up yet since they were added
        self._channel = channel
        self._look = Look(channel, float("inf"))
        self._process = os.getpid()
        self._since = time.monotonic()
        directory = channel.opened().directory
        if directory.is_local:
            import select

            try:
                self._bell = WakePipe()
                self._waiter = Waiter(channel, directory, self._callbacks.keys(), self._bell)
                inotify = ARRIVALS.join(self._waiter)
                self._poll = select.epoll()
                for descriptor in (self._bell.fileno(), inotify):
                    self._poll.register(descriptor, select.EPOLLIN)
            except OSError:  # a limit is reached: look instead
                self._release()

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called once, by a later `dispatch`, when the object exists."""
        validate_plain_key(key)
        self._check()
        self._callbacks[key] = callback
        self._unseen.add(key)
        self._since = time.monotonic()
        if self._waiter is not None:
            ARRIVALS.change(self._waiter, add=(key,))
            self._waiter.wake()

    def discard(self, key: Key) -> None:
        """Forget a key."""
        if self._callbacks.pop(key, None) is not None and self._waiter is not None:
            ARRIVALS.change(self._waiter, remove=(key,))
        self._unseen.discard(key)

    def fileno(self) -> int | None:
        """Return the descriptor; None if this watcher looks."""
        return None if self._poll is None else self._poll.fileno()

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now; return the seconds after which to call this again."""
        self._check()
        start = time.monotonic()
        unseen, self._unseen = self._unseen, set()
        found = self._look([name for name in self._names(unseen) if name in self._callbacks])
        self._unseen.update(found)
        for key in found:
            callback = self._callbacks.get(key)
            self.discard(key)
            if callback is not None:
                try:
                    callback(key)
                except BaseException:
                    if self._waiter is not None:
                        self._waiter.wake()  # for the callbacks that are left
                    raise
        if self._waiter is not None:
            return LOOK_AGAIN_SECONDS
        pause = SHORT_PAUSE if start - self._since < PATIENT_AFTER else LONG_PAUSE
        return max(pause, 10 * (time.monotonic() - start))

    def close(self) -> None:
        """Forget every key and release the descriptor."""
        self._callbacks.clear()
        self._unseen.clear()
        self._process = -1
        self._release()

    def _names(self, unseen: set[str]) -> Collection[str]:
        """Return the keys to look up: those that have appeared, or all if the kernel cannot have told of them."""
        waiter = self._waiter
        if waiter is None or waiter.bell is None:
            return list(self._callbacks)
        waiter.bell.clear()
        appeared, must_look = ARRIVALS.collect(waiter)
        directory = self._channel.opened().directory
        if not must_look and directory is waiter.place and directory.is_there():
            return unseen | appeared
        # The directory was removed, and perhaps made again, or events were lost.
        ARRIVALS.leave(waiter)
        with suppress(ChannelUnavailableError):
            self._channel.run("read", Objects.present, ())  # opens the new directory, if there is one
        waiter.place = self._channel.opened().directory
        try:
            ARRIVALS.join(waiter)
        except OSError:
            self._release()
        return list(self._callbacks)

    def _check(self) -> None:
        if self._process < 0:
            raise ConnectorClosedError("the watcher is closed", remedy="make a new one")
        if self._process != os.getpid():
            raise ForkedConnectorError("a watcher does not work in a forked child", remedy="make one in the child")
        self._channel.opened()

    def _release(self) -> None:
        if self._waiter is not None:
            ARRIVALS.leave(self._waiter)  # first: after this no other thread rings the bell
            self._waiter = None
        for one in (self._bell, self._poll):
            if one is not None:
                one.close()
        self._bell = self._poll = None

    def __del__(self) -> None:
        if not sys.is_finalizing():
            with suppress(AttributeError):  # the instance may be half made
                self._release()
