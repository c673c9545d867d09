"""How does Linux tell what appears in a directory? By inotify(7), which Python reaches through ctypes."""

from __future__ import annotations

import errno
import os
from struct import Struct
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    import ctypes

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
    """What happened: in which watched directory, what kind, and to which name."""

    watch: int
    kind: int
    name: bytes


class Inotify:
    """Hold one inotify instance: one descriptor, and one of the few that a user may have.

    Raises:
        OSError: This system has none, or no more of them.
    """

    __slots__ = ("_descriptor", "_library")

    def __init__(self) -> None:
        self._descriptor = -1
        self._library = _library()
        self._descriptor = self._library.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
        if self._descriptor < 0:
            raise _last_error()

    def watch(self, descriptor: int) -> int:
        """Watch an open directory; return the number that its events will bear, the same for the same directory.

        Raises:
            OSError: It cannot be watched.
        """
        # By its descriptor: the path may name another directory by now.
        path = f"/proc/self/fd/{descriptor}".encode()
        number: int = self._library.inotify_add_watch(self._descriptor, path, APPEARED | _DELETED | _ONLY_DIRECTORIES)
        if number < 0:
            raise _last_error()
        return number

    def unwatch(self, number: int) -> None:
        """Watch a directory no more; no error if it is gone."""
        self._library.inotify_rm_watch(self._descriptor, number)

    def events(self, seconds: float) -> list[Event]:
        """Return what has happened; if that is nothing, wait for something, but no longer than so many seconds."""
        import select

        ready = select.poll()
        ready.register(self._descriptor, select.POLLIN)
        if not ready.poll(max(seconds, 0.0) * 1000):
            return []
        try:
            data = os.read(self._descriptor, _BUFFER_BYTES)
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
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _library() -> ctypes.CDLL:
    try:
        import ctypes
        import select  # noqa: F401  # by `events`: what cannot be imported must be known before somebody relies on it

        library = ctypes.CDLL(None, use_errno=True)
        library.inotify_init1  # noqa: B018  looked up: another system has none
    except (ImportError, OSError, AttributeError, TypeError) as error:
        raise OSError(errno.ENOSYS, "no inotify on this system") from error
    return library


def _last_error() -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
