"""Wait for objects of a directory: told by the kernel through inotify(7) on local file systems, by looking elsewhere.

All waits and watchers of a process share one inotify instance. A wait is told of names by setting its `Wake`, and a
watcher by setting the `Arrival` of each key.
"""

from __future__ import annotations

import errno
import os
import threading
import time
import weakref
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

from psk.connectors.directory.objects import Objects
from psk.connectors.waiting import LONG_PAUSE, PATIENT_AFTER, SHORT_PAUSE, Wake, poll
from psk.connectors.watching import ToldWatcher
from psk.errors import ChannelUnavailableError, ForkedConnectorError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    import ctypes
    import select
    from collections.abc import Callable, Mapping, Sequence

    from psk.connectors import Key
    from psk.connectors.directory.channel import Channel
    from psk.connectors.directory.directory import Directory
    from psk.connectors.watching import Settable

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

    It is closed with its last reference. Every directory that was waited in holds one, because closing it takes 8 ms.

    Raises:
        OSError: This system has none, or no more of them.
    """

    __slots__ = ("__weakref__", "_library", "descriptor")

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

    __del__ = close


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


class Arrivals:
    """Share one inotify instance between all waits and watchers of this process, in any directories.

    A directory is watched only while somebody waits in it, so puts at other times cost nothing. There is no thread: one
    of the waiting threads reads what the kernel tells and wakes the others; the next one continues when it leaves.
    """

    __slots__ = ("__weakref__", "_inotify", "_lock", "_reader", "_reading_thread", "_sleepers", "_watches")

    def __init__(self) -> None:
        self._inotify: weakref.ref[Inotify] | None = None
        self._reset()

    def _reset(self) -> None:
        # Re-entrant: a watcher may be garbage-collected while this thread holds it.
        self._lock = threading.RLock()
        # The number of a watched directory -> the names that are waited for -> what is set when they appear.
        self._watches: dict[int, dict[bytes, set[Settable]]] = {}
        self._reader: Wake | None = None
        self._reading_thread = 0
        self._sleepers: set[Wake] = set()

    def after_fork(self) -> None:
        """Start again in a forked child: its events are the parent's too, who must not miss them."""
        inotify, self._inotify = self._opened(), None
        self._reset()
        if inotify is not None:
            inotify.close()

    def open(self, directory: Directory) -> Inotify:
        """Let a directory hold the inotify instance, and return that.

        Raises:
            OSError: There is none, or no more of them.
        """
        with self._lock:
            inotify = self._opened()
            if inotify is None:
                inotify, self._watches = Inotify(), {}  # an interrupt may have left some of the last instance
                self._inotify = weakref.ref(inotify)
            directory.notifier = inotify
            return inotify

    def tell(self, directory: Directory, number: int, names: Sequence[str], settable: Settable) -> int:
        """Set something whenever one of some names appears from here on; to be ended by `tell_no_more`.

        Args:
            directory: Where the names appear.
            number: What this returned for the same directory; -1 at first.
            names: The names.
            settable: What is set. It is also set when anything may have happened that the kernel did not tell.

        Returns:
            The number of the watched directory.

        Raises:
            OSError: It cannot; the limits of instances, watches or descriptors may be reached.
        """
        with self._lock:
            if number not in self._watches:
                number = self.open(directory).watch(directory.descriptor)
            watch = self._watches.setdefault(number, {})
            for name in names:
                watch.setdefault(name.encode(), set()).add(settable)
            return number

    def tell_no_more(self, number: int, names: Sequence[str], settable: Settable) -> None:
        """End what `tell` began; doing so twice, or without `tell`, is not an error."""
        with self._lock:
            watch = self._watches.get(number)
            if watch is None:
                return
            for name in names:
                told = watch.get(name.encode(), set())
                told.discard(settable)
                if not told:
                    watch.pop(name.encode(), None)
            if not watch:
                del self._watches[number]
                inotify = self._opened()
                if inotify is not None:
                    inotify.unwatch(number)

    def wait(self, wake: Wake, directory: Directory, deadline: float) -> None:
        """Return when something was set, its directory was removed (which no event tells), or time is up."""
        me = threading.get_ident()
        try:
            self._sleepers.add(wake)
            while (left := deadline - time.monotonic()) > 0:
                with self._lock:
                    # A wait in a signal handler takes over from the wait of its own thread that it interrupts.
                    if self._reader is None or self._reading_thread == me:
                        self._reader, self._reading_thread = wake, me
                pause = min(left, LOOK_AGAIN_SECONDS)
                if self._reader is wake:
                    self.read(pause)
                    pause = 0.0
                if wake.wait(pause) or not directory.is_there():
                    return
        finally:
            if self._reader is wake:  # first, and without a call, in which an interrupt could come
                self._reader = None
            self._sleepers.discard(wake)
            with self._lock:
                if self._reader is None and self._sleepers:
                    self._sleepers.pop().set()  # to read on

    def read(self, seconds: float) -> None:
        """Pass on what the kernel tells; if that is nothing, wait for something, but no longer than so many seconds."""
        inotify = self._opened()
        try:
            events = [] if inotify is None else inotify.events(seconds)
            with self._lock:
                for event in events:
                    self._pass_on(event)
        except BaseException:  # an interrupt: what was read and not passed on is lost, so all look again
            with self._lock:
                self._pass_on(Event(-1, OVERFLOWN, b""))
            raise

    def _opened(self) -> Inotify | None:
        return None if self._inotify is None else self._inotify()

    def _pass_on(self, event: Event) -> None:
        watches = list(self._watches.values())
        if event.kind & GONE:
            watches = [self._watches.pop(event.watch, {})]
        elif not event.kind & OVERFLOWN:
            watches = [{event.name: self._watches.get(event.watch, {}).get(event.name, set())}]
        for watch in watches:
            for told in list(watch.values()):
                for settable in list(told):
                    settable.set()


ARRIVALS: Final = after_fork_in_child(Arrivals(), Arrivals.after_fork)

GRACE_SECONDS: Final = 1.0
"""Seconds that the directory may be missing during a wait: a process that clears it by removing it makes it again."""


class Source:
    """Tell of arrivals in the directory of one channel, for a wait or a watcher; see `psk.connectors.watching.Source`.

    Args:
        channel: The channel.
        deadline: When to look for the last time, by `time.monotonic`.

    Attributes:
        directory: The directory that is watched; None after the end.
        is_told: Whether the kernel tells. It does not on network file systems, where a limit is reached, and where
            there is no inotify.
    """

    __slots__ = ("_channel", "_deadline", "_missing_since", "_number", "directory", "is_told")

    def __init__(self, channel: Channel, deadline: float) -> None:
        self._channel = channel
        self._deadline = deadline
        self._missing_since: float | None = None
        self._number = -1
        directory = channel.opened().directory
        self.directory: Directory | None = directory
        self.is_told = directory.is_local

    def present(self, names: Sequence[str]) -> list[str]:
        """Return those of some names that have an object.

        Raises:
            ChannelUnavailableError: The directory was removed and not made again.
            ConnectorClosedError: The connector was closed.
        """
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

    def tell(self, names: Sequence[str], settable: Settable) -> None:
        """Set something whenever an object arrives, if the kernel tells, and when the connector is closed."""
        self._channel.waiting.add(settable)
        if self.is_told and self.directory is not None:
            try:
                self._number = ARRIVALS.tell(self.directory, self._number, names, settable)
            except OSError:
                self.is_told = False

    def tell_no_more(self, names: Sequence[str], settable: Settable) -> None:
        """End what `tell` began."""
        self._channel.waiting.discard(settable)
        ARRIVALS.tell_no_more(self._number, names, settable)

    def follow(self, told: Mapping[Key, Settable]) -> bool:
        """Go on in the directory that the channel has now; tell whether it is the one that was watched."""
        directory = self._channel.opened().directory
        if directory is self.directory and directory.is_there():
            return True
        with suppress(ChannelUnavailableError):
            self.present(())  # opens the new directory, if there is one
        directory = self._channel.opened().directory
        if directory is not self.directory:
            for key, settable in list(told.items()):
                ARRIVALS.tell_no_more(self._number, (key,), settable)
            self.directory, self._number = directory, -1
            for key, settable in list(told.items()):
                self.tell((key,), settable)
        return False


def await_objects(channel: Channel, names: Sequence[str], deadline: float) -> list[str]:
    """Wait until at least one of several objects exists; one that appears and is removed at once may be missed.

    Args:
        channel: The directory.
        names: The objects.
        deadline: When to look for the last time, by `time.monotonic`.

    Returns:
        Those that exist, in their order; empty if none did in time.

    Raises:
        ChannelUnavailableError: The directory was removed and not made again.
        ConnectorClosedError: The connector was closed.
    """
    source, wake = Source(channel, deadline), Wake()
    found = source.present(names)
    try:
        if not found and time.monotonic() < deadline:
            source.tell(names, wake)
            # First watched, then looked: nothing can appear in between.
            found = source.present(names)
        while not found and time.monotonic() < deadline:
            if not source.is_told:
                return poll(lambda: source.present(names), deadline)
            ARRIVALS.wait(wake, channel.opened().directory, deadline)
            source.follow(dict.fromkeys(names, wake))
            found = source.present(names)
        return found
    finally:
        try:
            source.tell_no_more(names, wake)
        except BaseException:  # an interrupt, but the directory would be watched for ever
            source.tell_no_more(names, wake)
            raise


class Watcher(ToldWatcher):
    """Registered waits of one event loop; see `psk.connectors.Watcher`.

    Its descriptor is an epoll instance over the inotify instance of the process and the pipe of `ToldWatcher`: the
    kernel tells either, or another thread that has read what the kernel told writes to the pipe.

    Args:
        channel: The channel.
    """

    __slots__ = ("_directories", "_inotify", "_poll", "_process", "_since")

    def __init__(self, channel: Channel) -> None:
        self._directories = source = Source(channel, float("inf"))
        self._process = os.getpid()
        self._since = time.monotonic()
        self._inotify: Inotify | None = None
        self._poll: select.epoll | None = None
        super().__init__(source, channel.opened)
        if source.is_told:
            import select

            try:
                self._inotify = ARRIVALS.open(channel.opened().directory)
                self._poll = select.epoll()
                for descriptor in (self._pipe.fileno(), self._inotify.descriptor):
                    self._poll.register(descriptor, select.EPOLLIN)
            except OSError:  # a limit is reached: look instead
                source.is_told = False

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called once, by a later `dispatch`, when the object exists."""
        super().add(key, callback)
        self._since = time.monotonic()

    def fileno(self) -> int | None:
        """Return the descriptor that is readable when an object has arrived, or the connector was closed."""
        return super().fileno() if self._poll is None else self._poll.fileno()

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now; return the seconds after which to call this again."""
        self._check()
        start = time.monotonic()
        ARRIVALS.read(0.0)
        is_same = self._directories.follow(self._arrivals)
        self._look_interval = None if is_same and self._directories.is_told else 0.0
        super().dispatch()
        if self._directories.is_told:
            return LOOK_AGAIN_SECONDS
        pause = SHORT_PAUSE if start - self._since < PATIENT_AFTER else LONG_PAUSE
        return max(pause, 10 * (time.monotonic() - start))

    def close(self) -> None:
        """Forget every key and release the descriptors."""
        super().close()
        poll, self._poll = self._poll, None
        if poll is not None:
            poll.close()
        self._directories.directory = self._inotify = None

    def _check(self) -> None:
        if self._process != os.getpid():
            raise ForkedConnectorError("a watcher does not work in a forked child", remedy="make one in the child")
        super()._check()
