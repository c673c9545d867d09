"""Keep the expiry of an object in its own file, behind the payload.

Modes, times and names of files are changed by chmod, touch, cp, rsync, a backup or a umask. None of them may lose an
object, so none of them says when it expires: a record in its file does (docs/wire.md). An object without a record, or
with a damaged one, never expires.
"""

from __future__ import annotations

import errno
import os
import time
from struct import Struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from psk.wire import ALIGNMENT, MAGIC

if TYPE_CHECKING:
    from psk.connectors.directory.directory import Directory

NEVER: Final = 2**64 - 1
"""The time of an object that does not expire."""

BOOT_CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))
"""A clock that nobody sets: the time since this host was started, its sleep included."""

_HEADER: Final = Struct("<4s20xQ")  # a payload's magic and nbytes
_RECORD: Final = Struct("<9sQI")
RECORD_BYTES: Final = _RECORD.size
_ATTEMPTS: Final = 3


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
