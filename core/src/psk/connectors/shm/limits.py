"""How much memory may a space use, and what is said when that is not enough?"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Final

from psk.connectors.file.directory import open_in
from psk.connectors.file.failures import failure
from psk.connectors.shm.segment import FREE_DIRECTORY, whole_pages
from psk.errors import ChannelFullError, PskError, ShmFullError

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory
    from psk.connectors.shm.pool import Pool

MOST_REUSED: Final = 1024**3
_SHARE: Final = 4
_REMEDY: Final = (
    "evict objects or clear the store, or give more memory: mount -o remount,size=..., in a container --shm-size"
)


class Limits:
    """Hold what a connector may use.

    Args:
        max_bytes: What all objects and free segments of the space may have together; None for no limit.
        reuse_bytes: What free segments may have; None for a quarter of the file system, at most 1 GiB.
        directory: The space, to ask for the file system's size.
    """

    __slots__ = ("max_bytes", "reuse_bytes", "unchecked")

    def __init__(self, max_bytes: int | None, reuse_bytes: int | None, directory: Directory) -> None:
        if reuse_bytes is None:
            found = os.fstatvfs(directory.descriptor)
            reuse_bytes = min(MOST_REUSED, found.f_blocks * found.f_frsize // _SHARE)
        self.max_bytes = max_bytes
        self.reuse_bytes = reuse_bytes if max_bytes is None else min(reuse_bytes, max_bytes)
        # Bytes that this process may put before it counts again.
        self.unchecked = 0


def check_limit(directory: Directory, pool: Pool, nbytes: int, limits: Limits) -> None:
    """Make sure that a new file of `nbytes` bytes stays within the limit of the space.

    Counting means to look at every file, so small objects share one count: at most an eighth of what was left may
    be put before the next.

    Raises:
        ShmFullError: It would not, even without free segments.
    """
    if limits.max_bytes is None:
        return
    size = whole_pages(nbytes)
    if size <= limits.unchecked:
        limits.unchecked -= size
        return
    left = limits.max_bytes - used_bytes(directory)
    if size > left:
        pool.drop(directory)
        left = limits.max_bytes - used_bytes(directory)
    if size > left:
        raise ShmFullError(
            f"no room in {directory.path!a}, which may use max_bytes={limits.max_bytes}",
            found=[f"object of {nbytes} bytes", f"{max(left, 0)} bytes free"],
            remedy="evict objects or clear the store, or raise max_bytes",
        )
    limits.unchecked = (left - size) // 8


def used_bytes(directory: Directory) -> int:
    """Return the memory that objects and free segments of a space have together."""
    total = 0
    for place in (".", FREE_DIRECTORY):
        try:
            descriptor = open_in(directory, place, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            continue
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    try:
                        if entry.is_file(follow_symlinks=False):
                            total += whole_pages(entry.stat(follow_symlinks=False).st_size)
                    except FileNotFoundError:
                        continue  # evicted meanwhile
        finally:
            os.close(descriptor)
    return total


def typed(error: OSError | ImportError, doing: str, directory: Directory, nbytes: int = 0) -> PskError:
    """Build the typed error for a failed system call; arguments as of `failure` of the file connector."""
    known = failure(error, doing, directory.path, descriptor=directory.descriptor, nbytes=nbytes)
    if not isinstance(known, ChannelFullError):
        return known
    remedy = known.remedy if getattr(error, "errno", None) == errno.EFBIG else _REMEDY
    return ShmFullError(str(known.args[0]), found=known.found, remedy=remedy)
