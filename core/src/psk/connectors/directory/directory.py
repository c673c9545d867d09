"""Open a directory once, and reach everything in it relative to that descriptor."""

from __future__ import annotations

import errno
import os
import re
import stat
from contextlib import suppress
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import shown
from psk.connectors.arguments import expired
from psk.errors import ChannelDataError, ChannelFullError, ChannelUnavailableError, ConnectorConfigError, PskError
from psk.plugins.importing import shortage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IN_MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})
"""File systems that are not on a disk."""

LOCAL: Final = IN_MEMORY | {
    *("bcachefs", "btrfs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "jfs", "ntfs3", "overlay"),
    *("reiserfs", "vfat", "xfs", "zfs"),
}
"""File systems whose locks hold between all processes that can see them, because all are on this host."""

RENEWABLE_MODE: Final = 0o600
"""The mode of a file whose expiry may be renewed."""

FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
NO_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE})
CLOEXEC: Final = getattr(os, "O_CLOEXEC", 0)
NO_FOLLOW: Final = getattr(os, "O_NOFOLLOW", 0) | CLOEXEC
READ_DIRECTORY: Final = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | CLOEXEC

# Never through a link, never waiting for the other end of a FIFO.
_CAREFUL: Final = NO_FOLLOW | getattr(os, "O_NONBLOCK", 0)
READ: Final = os.O_RDONLY | _CAREFUL
_CHANGE: Final = os.O_RDWR | _CAREFUL
_PLANTED: Final = frozenset({errno.ELOOP, errno.EMLINK, errno.EISDIR, errno.ENXIO, errno.ENODEV, errno.EOPNOTSUPP})
_LISTED: Final = 1024  # names that are listed between two looks at the clock
_SUPPORTED: Final = os.open in os.supports_dir_fd and hasattr(os, "O_NOFOLLOW")
_has_control = re.compile(r"[\x00-\x1f\x7f]").search
_REMEDIES: Final = {
    errno.EACCES: "give this user access, or use another directory",
    errno.EPERM: "use a directory of this user, on a file system with hard links and permissions",
    errno.EROFS: "mount it writable, or use another directory",
    errno.ENOTDIR: "give the path of a directory",
    errno.ENOENT: "if it is on another host or in another container, mount it here under the same path; else check "
    "the path, or put an object there, which makes it",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
}


class Directory:
    """Hold one open directory; the descriptor is closed with the last reference.

    A call in another thread holds a reference while it uses the directory, so closing a connector never takes
    the descriptor away from it.

    Args:
        path: Absolute path.
        create: Whether to make a missing directory, readable by its owner only.

    Raises:
        ChannelUnavailableError: It cannot be opened or made, or every user may write to it.
    """

    __slots__ = ("_filesystem", "_opening", "descriptor", "has_unnamed", "notifier", "owner", "path")

    def __init__(self, path: str, *, create: bool) -> None:
        self.descriptor = -1
        self.path = path
        self._filesystem: str | None = None
        self.notifier: Any = None  # what tells of arrivals lives as long as the last directory that was waited in
        # A file without a name gets one through its entry in /proc. The first write finds out about the file system.
        self.has_unnamed = hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")  # noqa: PTH112  pathlib costs 10 ms of import
        if not _SUPPORTED:
            raise ChannelUnavailableError(
                "this system cannot open files relative to a directory, which the file connector needs",
                remedy="use Linux or macOS, or a local:// store",
            )
        missing = _missing(path) if create else []
        try:
            if missing:
                os.makedirs(path, mode=0o700, exist_ok=True)  # noqa: PTH103  as above
            self.descriptor = os.open(path, READ_DIRECTORY)
            found = os.fstat(self.descriptor)
        except OSError as error:
            for made in missing:
                with suppress(OSError):  # it was not made, or another process uses it already
                    os.rmdir(made)  # noqa: PTH106  as above
            if isinstance(error, FileExistsError):
                error = NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            raise unavailable(error, "open the directory", path) from error
        if found.st_mode & stat.S_IWOTH:
            raise ChannelUnavailableError(
                f"every user may write to {path}, so its objects cannot be trusted",
                found=[f"mode {stat.S_IMODE(found.st_mode):o}"],
                remedy=f"use a directory inside, like {path.rstrip('/')}/psk, which psk makes private",
            )
        self.owner = found.st_uid
        self._opening = partial(os.open, dir_fd=self.descriptor)

    @property
    def filesystem(self) -> str:
        """The type of its file system; empty if it is unknown."""
        if self._filesystem is None:
            self._filesystem = filesystem_of(self.descriptor, self.path)
        return self._filesystem

    @property
    def is_local(self) -> bool:
        """Whether a lock on a file in it holds between all processes that can see the file."""
        return self.filesystem in LOCAL

    def is_there(self) -> bool:
        """Tell whether the directory still has a name: False after it was removed."""
        try:
            return os.fstat(self.descriptor).st_nlink > 0
        except OSError:  # how a network file system says so
            return False

    def open(self, name: str, flags: int, mode: int = 0o600) -> int:
        """Open a file in the directory, as `open_at` does but without its call."""
        (descriptor,) = map(self._opening, (name,), (flags,), (mode,))
        return descriptor

    def stat(self, name: str) -> os.stat_result | None:
        """Return what stat says of a name, and not of what a link points to; None if it is missing."""
        try:
            return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def remove(self, name: str) -> bool:
        """Unlink a name that is not a directory; tell whether it was there."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            return False
        return True

    def opened_anew(self) -> int:
        """Open the directory once more: a descriptor has one reading position and one lock, shared by its users."""
        return self.open(".", READ_DIRECTORY)

    def names(self, place: str = ".") -> Iterator[str]:
        """Iterate over the names in it, or in a directory in it, which is not reached through a link."""
        descriptor = self.open(place, READ_DIRECTORY | NO_FOLLOW)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    yield entry.name
        finally:
            os.close(descriptor)

    def files(self, is_wanted: Callable[[str], object], deadline: float) -> list[str]:
        """List the regular files in it whose names pass a test; no file is looked at where names come with types.

        Raises:
            DeadlineError: Time was up.
        """
        found: list[str] = []
        descriptor = self.opened_anew()
        try:
            with os.scandir(descriptor) as entries:
                while some := list(islice(entries, _LISTED)):
                    found += [
                        name for entry in some if is_wanted(name := entry.name) and entry.is_file(follow_symlinks=False)
                    ]
                    expired(deadline, f"listing {self.path!a}")
        finally:
            os.close(descriptor)
        return found

    def __del__(self) -> None:
        descriptor = getattr(self, "descriptor", -1)  # the instance may be half made
        if descriptor >= 0:
            with suppress(OSError):
                os.close(descriptor)


def open_at(directory: int, name: str, flags: int, mode: int = 0o600) -> int:
    """Open a file in an open directory.

    An interrupt (KeyboardInterrupt) cannot come between the system call and the caller's assignment, so no
    descriptor is lost: CPython looks for signals after a call, but not after a call made by C code, as here by
    the unpacking of `map`.
    """
    (descriptor,) = map(partial(os.open, dir_fd=directory), (name,), (flags,), (mode,))
    return descriptor


def _missing(path: str) -> list[str]:
    """List the directories that must be made, the deepest first."""
    missing = []
    while not os.path.exists(path):  # noqa: PTH110  pathlib costs 10 ms of import
        missing.append(path)
        path = os.path.dirname(path)  # noqa: PTH120  as above
    return missing


def open_file(directory: Directory, name: str, flags: int = READ) -> tuple[int, os.stat_result] | None:
    """Open the regular file under a name; return its descriptor and what fstat says, or None if it is missing.

    Raises:
        ChannelDataError: A link, a FIFO, a directory or another user's file has this name.
    """
    try:
        descriptor = directory.open(name, flags)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno in _PLANTED:
            raise foreign(directory, name, "a link, socket or device") from error
        raise
    try:
        found = os.fstat(descriptor)
        if stat.S_ISREG(found.st_mode) and (found.st_uid == directory.owner or found.st_uid == os.geteuid()):
            return descriptor, found
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    is_file = stat.S_ISREG(found.st_mode)
    raise foreign(directory, name, f"a file of user {found.st_uid}" if is_file else "a directory, FIFO or device")


def open_to_renew(directory: Directory, name: str) -> tuple[int, os.stat_result] | None:
    """Open an object so that its expiry can be written; returns and errors as of `open_file`."""
    try:
        return open_file(directory, name, _CHANGE)
    except PermissionError:
        opened = open_file(directory, name)
    if opened is not None:
        try:
            os.fchmod(opened[0], RENEWABLE_MODE)
        finally:
            os.close(opened[0])
    return open_file(directory, name, _CHANGE)


def foreign(directory: Directory, name: str, what: str) -> ChannelDataError:
    """Build the error for a file that psk did not write under the name of an object."""
    return ChannelDataError(
        f"the file {name} in {directory.path!a} is not an object of psk",
        found=[what],
        remedy="remove it, and find out what else writes there",
    )


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


def filesystem_of(where: int | str, path: str) -> str:
    """Return the type of the file system that a directory is on, as in proc(5); empty if it is unknown.

    Args:
        where: The directory: its descriptor, or a path.
        path: Its path, for file systems that cannot be told by their device number.

    Raises:
        OSError: There are too few descriptors or too little memory to check.
    """
    try:
        with open("/proc/self/mountinfo", "rb") as file:  # noqa: PTH123  pathlib costs 10 ms of import
            lines = file.read().splitlines()
        device = os.stat(where).st_dev  # noqa: PTH116  pathlib knows no descriptors
    except OSError as error:
        if error.errno in NO_DESCRIPTORS or error.errno == errno.ENOMEM:  # it says nothing about the file system
            raise
        return ""
    number = f"{os.major(device)}:{os.minor(device)}".encode()
    place = os.fsencode(os.path.realpath(path))
    best, longest = "", -1
    for line in lines:
        before, dash, after = line.partition(b" - ")
        fields = before.split()
        if not dash or len(fields) < 5:  # noqa: PLR2004  the fields up to the mount point
            continue
        kind = after.split(None, 1)[0].decode("ascii", "replace")
        if fields[2] == number:
            return kind
        # Some file systems (btrfs, overlay) show another device number to stat: then the path decides.
        point = fields[4]
        for written, meant in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
            point = point.replace(written, meant)
        if (place == point or place.startswith(point.rstrip(b"/") + b"/")) and len(point) >= longest:
            best, longest = kind, len(point)
    return best


def absolute(path: object) -> str:
    """Return the one absolute spelling of a path that can travel in a URI.

    Raises:
        ConnectorConfigError: It is not a path, or has control characters.
    """
    try:
        written = os.fsdecode(path)  # type: ignore[arg-type]  # whatever it is: TypeError if it is not a path
    except TypeError:
        written = ""
    if not written or _has_control(written):
        raise ConnectorConfigError(
            f"{shown(path)} is not the path of a directory", remedy="give a path without control characters"
        )
    # normpath keeps two leading slashes, which POSIX lets mean something else and Linux does not.
    return re.sub(r"^//+", "/", os.path.abspath(written))  # noqa: PTH100  pathlib costs 10 ms of import


def unavailable(error: OSError, doing: str, path: str) -> ChannelUnavailableError:
    """Build the error for a directory that cannot be used."""
    remedy = _REMEDIES.get(error.errno or 0, "check the directory and its file system")
    reason = error.strerror or type(error).__name__
    return ChannelUnavailableError(f"cannot {doing} {path!a}: {reason}", remedy=remedy)


def failure(error: OSError | ImportError, doing: str, path: str, *, descriptor: int = -1, nbytes: int = 0) -> PskError:
    """Build the typed error for a failed system call, or for a module that could not be imported when it was needed.

    Args:
        error: The original error.
        doing: What was tried, as a verb phrase that the path completes.
        path: The directory.
        descriptor: The directory's descriptor, to ask for free space.
        nbytes: Size of what should have been written.

    Raises:
        MemoryError: The system had no memory, which is not the channel's fault.
    """
    if isinstance(error, ImportError):
        return shortage(error)
    if error.errno == errno.ENOMEM:
        raise MemoryError(f"no memory to {doing} {path}") from error
    if error.errno not in FULL:
        return unavailable(error, doing, path)
    found = [f"object of {nbytes} bytes"]
    remedy = "evict objects or clear the store, or use a larger file system"
    if error.errno == errno.EFBIG:
        remedy = "raise the limit of a file's size (ulimit -f), or use a file system without one"
    else:
        with suppress(OSError):  # the first error says enough
            space = os.fstatvfs(descriptor)
            found.append(f"{space.f_bavail * space.f_frsize} bytes free")
    return ChannelFullError(f"no room to {doing} {path!a}: {error.strerror}", found=found, remedy=remedy)
