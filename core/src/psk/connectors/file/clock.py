"""Tell the file server's time: expiry goes by its clock, not by that of the process that looks."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, ClassVar, Final

from psk.connectors.file.expiry import UNIX_TIME, Clock
from psk.connectors.file.writing import open_temporary

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory

REFRESH_NANOSECONDS: Final = 10_000_000_000

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})


class ServerClock(Clock):
    """Keep the difference between the file server's time and a clock that nobody sets.

    Every 10 seconds at most a temporary file is made in the directory to read its time. On a local file system
    the server is this host, so that setting its clock moves the expiry with it.
    """

    __slots__ = ("_known",)

    kind: ClassVar[bytes] = UNIX_TIME

    def __init__(self) -> None:
        self._known: tuple[int, int] | None = None

    def now(self, directory: Directory) -> int:
        """Return the file server's time, in nanoseconds since 1970."""
        here = time.clock_gettime_ns(_CLOCK)
        known = self._known
        if known is None or here - known[1] > REFRESH_NANOSECONDS:
            # One tuple, so that threads never combine two measurements.
            known = self._known = (_server_time(directory) - here, here)
        return here + known[0]


def _server_time(directory: Directory) -> int:
    try:
        descriptor, temporary = open_temporary(directory, 0o600)
    except OSError as error:
        if error.errno in _REFUSED:
            return time.time_ns()  # a process that cannot write there has no better clock than its own
        raise
    try:
        return os.fstat(descriptor).st_mtime_ns
    finally:
        if temporary is not None:
            directory.remove(temporary)
        os.close(descriptor)
