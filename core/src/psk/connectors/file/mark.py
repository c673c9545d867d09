"""Remember in a directory that something in it may expire, so that an opening need not look at every object."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors.file.directory import Directory

MARK_NAME: Final = ".expiring"

_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


def mark_expiring(directory: Directory) -> None:
    """Say that something expires here; before it is there, so that no kill leaves it unknown to the next opening."""
    try:
        os.stat(MARK_NAME, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        with suppress(FileExistsError):  # another has just said so
            os.close(os.open(MARK_NAME, _MAKE, 0o600, dir_fd=directory.descriptor))


def unmark(directory: Directory, anything_expires: Callable[[], bool]) -> None:
    """Take that back, once nothing expires here any more.

    Args:
        directory: Where.
        anything_expires: Looks whether something does. It is asked again after the mark is gone, since an object
            that was put in between relied on it; one that is put later makes its own.
    """
    if not anything_expires() and directory.remove(MARK_NAME) and anything_expires():
        mark_expiring(directory)
