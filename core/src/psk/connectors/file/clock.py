"""What time is it at the file server? Expiry goes by its clock, not by that of whoever looks."""

from __future__ import annotations

import errno
import os
import stat
import time
from typing import TYPE_CHECKING, Final

from psk.errors import ChannelDataError

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory

CLOCK_NAME: Final = ".clock"
REFRESH_NANOSECONDS: Final = 10_000_000_000

_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))
_TOUCH: Final = (
    os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
)


class ServerClock:
    """Keep the difference between the file server's time and a clock that nobody sets.

    Every 10 seconds at most a file in the directory is touched and its time read back. On a local file system
    the server is this host, so that setting its clock moves the expiry with it.
    """

    __slots__ = ("_known",)

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

    def after(self, directory: Directory, seconds: float) -> int:
        """Return the file server's time some seconds from now, in nanoseconds since 1970.

        Makes sure that the clock's file is there: it tells sweepers that something here can expire.
        """
        if self._known is not None:
            try:
                os.stat(CLOCK_NAME, dir_fd=directory.descriptor, follow_symlinks=False)
            except FileNotFoundError:
                self._known = None
        return self.now(directory) + int(seconds * 1e9)


def _server_time(directory: Directory) -> int:
    try:
        descriptor = os.open(CLOCK_NAME, _TOUCH, 0o600, dir_fd=directory.descriptor)
    except OSError as error:
        if error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
            return time.time_ns()  # who may only read has no better clock than his own
        if error.errno in {errno.ELOOP, errno.ENXIO, errno.EISDIR}:
            raise _planted(directory) from error
        raise
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise _planted(directory)
        os.utime(descriptor)
        return os.fstat(descriptor).st_mtime_ns
    finally:
        os.close(descriptor)


def _planted(directory: Directory) -> ChannelDataError:
    return ChannelDataError(
        f"{CLOCK_NAME} in {directory.path!a} is no file of psk",
        remedy="remove it, and see who else may write there",
    )
