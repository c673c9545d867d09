"""Which file system is a directory on, and what does that say about locks and disks?"""

from __future__ import annotations

import errno
import os
from typing import Final

MEMORY: Final = frozenset({"tmpfs", "ramfs", "devtmpfs", "hugetlbfs"})
"""File systems that no disk stands behind."""

LOCAL: Final = MEMORY | {
    "bcachefs",
    "btrfs",
    "exfat",
    "ext2",
    "ext3",
    "ext4",
    "f2fs",
    "hfsplus",
    "jfs",
    "ntfs3",
    "overlay",
    "reiserfs",
    "vfat",
    "xfs",
    "zfs",
}
"""File systems whose locks hold between all processes that can see them, because all are on this host."""

_MOUNTS: Final = "/proc/self/mountinfo"
_SHORT_OF: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def filesystem_of(where: int | str, path: str) -> str:
    """Return the type of the file system that a directory is on, as in proc(5); empty if nobody can tell.

    Args:
        where: The directory: its descriptor, or a path.
        path: Its path, for file systems that cannot be told by their device number.

    Raises:
        OSError: There are no descriptors or no memory to find out.
    """
    try:
        with open(_MOUNTS, "rb") as file:  # noqa: PTH123  pathlib costs 10 ms of import
            lines = file.read().splitlines()
        device = os.stat(where).st_dev  # noqa: PTH116  pathlib knows no descriptors
    except OSError as error:
        if error.errno in _SHORT_OF:  # which says nothing of the file system, and may be otherwise the next time
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
        point = _unescaped(fields[4])
        if (place == point or place.startswith(point.rstrip(b"/") + b"/")) and len(point) >= longest:
            best, longest = kind, len(point)
    return best


def filesystem_to_be(path: str) -> str:
    """Return the type of the file system that a directory is on, or would be if it were made."""
    while not os.path.isdir(path) and path != os.path.dirname(path):  # noqa: PTH112, PTH120  pathlib costs 10 ms of import
        path = os.path.dirname(path)  # noqa: PTH120
    return filesystem_of(path, path)


def _unescaped(field: bytes) -> bytes:
    for written, meant in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(written, meant)
    return field
