"""Keep the expiry of an object in its own file, behind the payload.

Modes, times and names of files are changed by chmod, touch, cp, rsync, a backup or a umask. None of them may lose an
object, so none of them says when it expires: a record in its file does (docs/wire.md). An object without a record, or
with a damaged one, never expires.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from contextlib import suppress
from struct import Struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from psk.wire import ALIGNMENT, MAGIC

if TYPE_CHECKING:
    from psk.connectors.directory.directory import Directory

NEVER: Final = 2**64 - 1
"""The time of an object that does not expire."""

MARK: Final = ".sweep"
"""An empty file; see `Mark`."""

DOUBTED: Final = ".sweeping"
"""Its name while a sweep makes sure that nothing needs it, so that it is never absent too early."""

BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))
"""A clock that nobody sets: the time since this host was started, its sleep included."""

_HEADER: Final = Struct("<4s20xQ")  # a payload's magic and nbytes
_RECORD: Final = Struct("<9sQI")
RECORD_BYTES: Final = _RECORD.size
_ATTEMPTS: Final = 3
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class Clock:
    """The clock by which objects expire: here the time since this host was started, the same for all its processes."""

    __slots__ = ()

    kind: bytes = b"\x93PSK-boot"
    """The first bytes of the records that this clock writes."""

    def now(self, directory: Directory) -> int:  # noqa: ARG002  the directory matters to other clocks
        """Return the time by which the objects of a directory expire, in nanoseconds."""
        return time.clock_gettime_ns(BOOT_CLOCK)

    def after(self, directory: Directory, seconds: float | None) -> int:
        """Return the time some seconds from now; `NEVER` for None."""
        return NEVER if seconds is None else self.now(directory) + int(seconds * 1e9)


class Mark:
    """Say that something in a directory may have to be swept: what expires, or is claimed.

    Args:
        directory: The directory.
    """

    __slots__ = ("_directory",)

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def is_set(self) -> bool:
        """Tell whether anything in the directory may expire or be claimed."""
        # The first name again: a sweep that ends gives that back between the two looks.
        return any(self._directory.stat(name) is not None for name in (MARK, DOUBTED, MARK))

    def set(self) -> None:
        """Set it: first, so that a kill leaves nothing unknown to a sweep."""
        if self._directory.stat(MARK) is None:
            with suppress(FileExistsError):  # another process has just done so
                os.close(self._directory.open(MARK, _MAKE))

    def doubt(self) -> bool:
        """Give it the name under which it is removed; False if a directory of others has one of the names.

        What is put from now on sets it anew. So the caller looks again at what is there, before it removes it.
        """
        marks = map(self._directory.stat, (MARK, DOUBTED))
        if any(found is not None and stat.S_ISDIR(found.st_mode) for found in marks):
            return False
        where = self._directory.descriptor
        with suppress(FileNotFoundError):  # another process has just done so
            os.rename(MARK, DOUBTED, src_dir_fd=where, dst_dir_fd=where)
        return True

    def remove_doubted(self) -> None:
        """Remove it after it was doubted."""
        self._directory.remove(DOUBTED)


def record_offset(nbytes: int) -> int:
    """Return where the record of a payload of `nbytes` bytes is: it never lies on two pages, or two sectors."""
    return -(-nbytes // ALIGNMENT) * ALIGNMENT


def has_room_for_record(size: int) -> bool:
    """Tell whether a file's size is that of a payload and its record: true of all that have one, and of few others."""
    return size % ALIGNMENT == RECORD_BYTES


def write_record(descriptor: int, offset: int, kind: bytes, expires: int) -> None:
    """Write down when an object expires; one system call, so that no moment shows half of it.

    Args:
        descriptor: Its file, writable.
        offset: Where the record is.
        kind: How the record begins; see `Clock`.
        expires: The time in nanoseconds, or `NEVER`.

    Raises:
        OSError: No room; the file is as it was.
    """
    record = _RECORD.pack(kind, expires, crc32(kind + expires.to_bytes(8, "little")))
    size, before = os.fstat(descriptor).st_size, os.pread(descriptor, RECORD_BYTES, offset)
    if os.pwrite(descriptor, record, offset) != RECORD_BYTES:  # a limit of the file's size let a part of it through
        os.pwrite(descriptor, before, offset)
        os.truncate(descriptor, size)
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))


def read_record(descriptor: int, offset: int, kind: bytes) -> int:
    """Return when an object expires; `NEVER` if there is no record of this kind, or a damaged one."""
    for _ in range(_ATTEMPTS):  # a record that seems damaged may be just being written
        record = os.pread(descriptor, RECORD_BYTES, offset)
        expires = parse_record(record, kind)
        if expires is not None:
            return expires
        if not record.startswith(kind):
            break
    return NEVER


def parse_record(record: bytes, kind: bytes) -> int | None:
    """Return the time that a record says; None if it is of another kind, or damaged."""
    if len(record) != RECORD_BYTES:
        return None
    found, expires, check = _RECORD.unpack(record)
    return expires if found == kind and check == crc32(record[:-4]) else None


def payload_size(descriptor: int) -> int | None:
    """Return the size of the payload that a file begins with, by its header; None if it begins with no payload."""
    header = os.pread(descriptor, _HEADER.size, 0)
    if len(header) < _HEADER.size:
        return None
    magic, nbytes = _HEADER.unpack(header)
    return nbytes if magic == MAGIC else None


def find_record(descriptor: int, size: int, kind: bytes) -> tuple[int, int]:
    """Return how much of a file is its payload, and when it expires.

    Args:
        descriptor: The open file.
        size: Its size.
        kind: What the record must begin with to be believed.

    Returns:
        The payload's size, and the time. Without a record the size of the file, and `NEVER`.
    """
    offset = size - RECORD_BYTES
    if has_room_for_record(size):
        nbytes = payload_size(descriptor)
        if nbytes is not None and record_offset(nbytes) == offset:
            return nbytes, read_record(descriptor, offset, kind)
    return size, NEVER
