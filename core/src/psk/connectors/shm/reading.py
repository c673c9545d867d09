"""How does an object become memory of this process? Mapped privately under its lock, or copied if it is small."""

from __future__ import annotations

import errno
import os
from struct import Struct
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import deadline_error
from psk.connectors.file.expiry import has_room_for_record
from psk.connectors.file.objects import open_object, open_to_renew
from psk.connectors.file.reading import read_frames, read_range
from psk.connectors.shm.expiry import SEGMENT_BYTES, is_over, locate, remove_expired, set_expiry
from psk.connectors.shm.locks import exclusively, pauses, try_share
from psk.connectors.shm.mapping import Mapping
from psk.errors import PayloadError
from psk.wire import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors.file.directory import Directory

# Where a payload's header says whose it is and how long it is: docs/wire.md.
_START: Final = Struct("<8x16sQ")
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})


def read_object(directory: Directory, name: str, deadline: float) -> Frames | None:
    """Return the object under a name, in private writable memory; None if it is missing or has expired."""
    opened = open_shared(directory, name, deadline)
    if opened is None:
        return None
    descriptor, found = opened
    try:
        size = found.st_size
        if has_room_for_record(size):
            size, expires = locate(descriptor, size)
            if is_over(expires):
                remove_expired(directory, name, deadline)
                return None
        return read_opened(descriptor, size, name, deadline)
    finally:
        # A mapping keeps the lock: it holds the open file, whatever becomes of the descriptor.
        os.close(descriptor)


def read_opened(descriptor: int, size: int, name: str, deadline: float) -> Frames:
    """Return the object in an open file, whose lock is held if it is a segment."""
    if size < SEGMENT_BYTES:
        return read_frames(descriptor, size, name, deadline)
    try:
        view = Mapping(descriptor, size, shared=False).view
    except OSError as error:
        if error.errno not in _SHORT_OF:
            raise
        return read_frames(descriptor, _length(os.pread(descriptor, _START.size, 0), size, name), name, deadline)
    return Frames((view[: _length(view, size, name)],))


def read_part(directory: Directory, name: str, offset: int, length: int, deadline: float) -> memoryview | None:
    """Return a part of the object under a name: fewer bytes at its end, None if it is missing or has expired."""
    opened = open_shared(directory, name, deadline)
    if opened is None:
        return None
    descriptor, found = opened
    try:
        size, expires = locate(descriptor, found.st_size)
        if is_over(expires):
            return None
        if size >= SEGMENT_BYTES:
            size = _length(os.pread(descriptor, _START.size, 0), size, name)
        return read_range(descriptor, size, offset, length, name)
    finally:
        os.close(descriptor)


def renew_object(directory: Directory, name: str, ttl: float | None, deadline: float) -> bool:
    """Let an object expire `ttl` seconds from now, or never; False if it is gone.

    Its lock is shared meanwhile, as for reading: without it the segment might become another object, and that one
    would get the expiry.
    """
    opened = open_shared(directory, name, deadline, open_to_renew)
    if opened is None:
        return False
    descriptor = opened[0]

    def change() -> bool:
        found = still_named(directory, name, os.fstat(descriptor))
        if found is None:
            return False
        end, expires = locate(descriptor, found.st_size)
        if is_over(expires):
            return False
        set_expiry(descriptor, found.st_size, end, ttl)
        return True

    try:
        return exclusively(directory, deadline, f"renewing {name}", change)
    finally:
        os.close(descriptor)


def open_shared(
    directory: Directory,
    name: str,
    deadline: float,
    opening: Callable[[Directory, str], tuple[int, os.stat_result] | None] = open_object,
) -> tuple[int, os.stat_result] | None:
    """Open the object under a name so that nobody writes into it any more; None if it is missing.

    Between opening a name and locking the file the object may have been evicted and its segment used for another
    one. So the name is looked at again under the lock: if it still means this file, then the file is this object,
    and stays it for as long as the lock is held.

    Returns:
        Descriptor, which holds the lock, and what stat says of it now.

    Raises:
        DeadlineError: A writer held the lock until the deadline.
        ChannelDataError: Something that is no object of psk stands there.
    """
    attempts = None
    while True:
        opened = opening(directory, name)
        if opened is None:
            return None
        descriptor, before = opened
        try:
            if before.st_size < SEGMENT_BYTES:
                return opened  # never used again, so there is nothing to lock
            if try_share(descriptor) and (found := still_named(directory, name, before)) is not None:
                descriptor = -1
                return opened[0], found
        finally:
            if descriptor >= 0 and before.st_size >= SEGMENT_BYTES:
                os.close(descriptor)
        # Being placed at this instant, or gone, or there anew: the next look tells.
        attempts = attempts or pauses(deadline)
        if next(attempts, None) is None:
            raise deadline_error(f"waiting for the writer of {name}")


def still_named(directory: Directory, name: str, opened: os.stat_result) -> os.stat_result | None:
    """Return what stat says of a name if it means the file that was opened; None otherwise."""
    try:
        named = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None
    return named if named.st_ino == opened.st_ino else None


def _length(start: bytes | memoryview, size: int, name: str) -> int:
    """Return how much of a segment is the object, which may be shorter than it; damage is for others to find."""
    object_id, nbytes = _START.unpack_from(start)
    if object_id.hex() != name:
        raise PayloadError(
            f"what stands under {name} is not this object",
            found=[f"object {object_id.hex()}"],
            remedy="put the object again, and see who else writes in the directory",
        )
    return min(max(int(nbytes), _START.size), size)
