"""Keep the expiry of an object in shared memory, by a clock that nobody sets.

A small object has a record behind its payload, as in the file connector; a segment behind its last page, where it is
found without a look at the header. So a file's size tells that it has none, and such an object is not even opened.
"""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, ClassVar, Final

from psk.connectors.file.expiry import (
    BOOT_TIME,
    NEVER,
    RECORD_BYTES,
    Clock,
    find_record,
    has_room_for_record,
    read_record,
    record_offset,
    write_record,
)
from psk.connectors.file.objects import CLAIM_SUFFIX, is_named, open_object
from psk.connectors.shm.locks import exclusively

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory

SEGMENT_BYTES: Final = 64 * 1024
"""From here on a file is a segment; smaller ones are quicker copied than mapped."""

CLOCK: Final = getattr(time, "CLOCK_BOOTTIME", getattr(time, "CLOCK_MONOTONIC", 0))


class BootClock(Clock):
    """Give the time since this host was started, its sleep included: the same for all its processes."""

    __slots__ = ()

    kind: ClassVar[bytes] = BOOT_TIME

    def now(self, directory: Directory) -> int:  # noqa: ARG002  one clock for all directories
        """Return nanoseconds since the start."""
        return time.clock_gettime_ns(CLOCK)


BOOT_CLOCK: Final = BootClock()


def needs_segment(nbytes: int) -> bool:
    """Tell whether a payload goes into a segment: if its file could become as large as one, record included."""
    return record_offset(nbytes) + RECORD_BYTES >= SEGMENT_BYTES


def locate(descriptor: int, size: int) -> tuple[int, int]:
    """Find out how much of a file to read as an object, and when that expires; a segment may hold less."""
    if size < SEGMENT_BYTES:
        return find_record(descriptor, size, BOOT_TIME)
    if not has_room_for_record(size):
        return size, NEVER
    end = size - RECORD_BYTES
    return end, read_record(descriptor, end, BOOT_TIME)


def is_over(expires: int) -> bool:
    """Tell whether a time has come."""
    return expires != NEVER and time.clock_gettime_ns(CLOCK) >= expires


def set_expiry(descriptor: int, size: int, end: int, ttl: float | None) -> None:
    """Write down that an object expires some seconds from now, or never.

    Args:
        descriptor: Its file, writable.
        size: The file's size.
        end: As of `locate`.
        ttl: Seconds; None for never.
    """
    if ttl is None and end == size:
        return  # there is no record
    expires = NEVER if ttl is None else time.clock_gettime_ns(CLOCK) + int(ttl * 1e9)
    write_record(descriptor, record_offset(end), BOOT_TIME, expires)


def remove_expired(directory: Directory, name: str, deadline: float) -> int | None:
    """Remove an object if it has expired; return its time, which may be `NEVER`, or None if it is gone.

    Decided together with renewals, so that one that succeeded is never undone. Its memory is not used again: it
    goes with the last reader.
    """

    def remove() -> int | None:
        opened = open_object(directory, name)
        if opened is None:
            return None
        try:
            expires = locate(opened[0], opened[1].st_size)[1]
            if not (is_over(expires) and is_named(directory, name, opened[0])):
                return expires
        finally:
            os.close(opened[0])
        directory.remove(name)
        directory.remove(name + CLAIM_SUFFIX)
        return None

    return exclusively(directory, deadline, f"removing {name}", remove)


def reap_object(directory: Directory, name: str, deadline: float) -> float | None:
    """Remove an object if it has expired; return in how many seconds it will, None if it is gone or stays."""
    expires = remove_expired(directory, name, deadline)
    if expires is None or expires == NEVER:
        return None
    return max(expires - BOOT_CLOCK.now(directory), 0) / 1e9
