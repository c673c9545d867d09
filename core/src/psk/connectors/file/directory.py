"""Which directory is the channel? It is opened once, and all in it is named relative to that descriptor."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from typing import Final

from psk.connectors.file import mounts
from psk.connectors.file.failures import unavailable
from psk.errors import ChannelUnavailableError

SUPPORTED: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_FLAGS: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_CLOEXEC", 0)


class Directory:
    """Hold one open directory; the descriptor goes with the last reference.

    Calls in other threads hold a reference while they use it, so that closing a connector never takes a
    descriptor from under them.

    Args:
        path: Absolute path.
        create: Whether to make it, readable by its owner only, if it is missing.

    Raises:
        ChannelUnavailableError: It cannot be opened or made, or anybody may write to it.
    """

    __slots__ = ("_filesystem", "descriptor", "has_unnamed", "owner", "path")

    def __init__(self, path: str, *, create: bool) -> None:
        self.descriptor = -1
        self.path = path
        self._filesystem: str | None = None
        # Whether the file system has files without a name; the first write finds out.
        self.has_unnamed = hasattr(os, "O_TMPFILE")
        if not SUPPORTED:
            raise ChannelUnavailableError(
                "this system has no files relative to a directory, which the file connector needs",
                remedy="use Linux or macOS, or a local:// store",
            )
        missing = _missing(path) if create else []
        try:
            if missing:
                os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103  pathlib costs 10 ms of import
            self.descriptor = os.open(path, _FLAGS)
            found = os.fstat(self.descriptor)
        except OSError as error:
            for made in missing:
                with suppress(OSError):  # it was not made, or somebody uses it already
                    os.rmdir(made)  # noqa: PTH106  pathlib costs 10 ms of import
            if isinstance(error, FileExistsError):
                error = NotADirectoryError(error.errno, "Not a directory")
            raise unavailable(error, "open the directory", path) from error
        if found.st_mode & stat.S_IWOTH:
            raise ChannelUnavailableError(
                f"anybody may write to {path}, so its objects cannot be trusted",
                found=[f"mode {stat.S_IMODE(found.st_mode):o}"],
                remedy=f"use a directory inside, like {path.rstrip('/')}/psk, which psk makes private",
            )
        self.owner = found.st_uid

    @property
    def filesystem(self) -> str:
        """The type of the file system it is on, empty if nobody can tell."""
        if self._filesystem is None:
            self._filesystem = mounts.filesystem_of(self.descriptor, self.path)
        return self._filesystem

    @property
    def is_local(self) -> bool:
        """Whether a lock on a file in it holds between all processes that can see the file."""
        return self.filesystem in mounts.LOCAL

    def is_there(self) -> bool:
        """Tell whether it still has a name: False after somebody removed it."""
        try:
            return os.fstat(self.descriptor).st_nlink > 0
        except OSError:  # a network file system says so in this way
            return False

    def remove(self, name: str) -> bool:
        """Unlink a name that is not a directory; tell whether it was there."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def names(self) -> list[str]:
        """List the names in it."""
        # Opened anew: a descriptor has one reading position, which concurrent listings would share.
        own = os.open(".", _FLAGS, dir_fd=self.descriptor)
        try:
            return os.listdir(own)  # noqa: PTH208  pathlib knows no descriptors
        finally:
            os.close(own)

    def sync(self) -> None:
        """Bring its entries to the disk."""
        sync(self.descriptor)

    def __del__(self) -> None:
        descriptor = getattr(self, "descriptor", -1)  # it may never have been finished
        if descriptor >= 0:
            with suppress(OSError):  # nobody is left to tell
                os.close(descriptor)


def _missing(path: str) -> list[str]:
    """List what has to be made for a directory to be there, the deepest first."""
    missing = []
    while not os.path.exists(path):  # noqa: PTH110  pathlib costs 10 ms of import
        missing.append(path)
        path = os.path.dirname(path)  # noqa: PTH120  the same
    return missing


def open_in(directory: Directory, name: str, flags: int, mode: int = 0o600) -> int:
    """Open a file in a directory.

    No interrupt comes between the system's call, however long it takes, and the caller's having the descriptor: a call
    by C code is no place to look for one, and nor is what follows here.
    """
    (descriptor,) = map(partial(os.open, dir_fd=directory.descriptor), (name,), (flags,), (mode,))
    return descriptor


def sync(descriptor: int) -> None:
    """Bring a file to the disk itself: on macOS fsync alone stops at the drive's cache."""
    import fcntl

    full = getattr(fcntl, "F_FULLFSYNC", None)
    if full is not None:
        try:
            fcntl.fcntl(descriptor, full)
        except OSError:
            pass  # not every file system has it; plain fsync is what remains
        else:
            return
    os.fsync(descriptor)
