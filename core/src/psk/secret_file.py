"""Read a secret from a file that nobody else can read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from psk.errors import PskError

__all__ = ["read_secret"]

_MOST_BYTES: Final = 64 * 1024
_OTHERS: Final = 0o077


def read_secret(
    path: str, *, what: str, error: type[PskError], most_bytes: int = _MOST_BYTES, follow_links: bool = True
) -> bytes | None:
    """Read a secret from a regular file that only its owner can read: this user or root.

    What is checked is the open file, so nothing can be exchanged between the check and the reading. A file that would
    block, such as a pipe, is refused.

    Args:
        path: The file.
        what: What it holds, for messages: "key file".
        error: What is raised; the message names the file and never its contents.
        most_bytes: A longer file is refused.
        follow_links: Whether the path may be a symbolic link, as it is where secrets are mounted into a container.

    Returns:
        The contents; None if there is no such file.

    Raises:
        PskError: The file is not private, not a regular file, too long, or cannot be read; of the class `error`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as reason:
        raise error(
            f"{what} {path!a} cannot be opened: {reason.strerror}", remedy="make it a regular file of mode 0600"
        ) from None
    try:
        _check_private(path, os.fstat(descriptor), what, error)
        content = _read(descriptor, path, most_bytes, what, error)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise error(f"{what} {path!a} is too long", found=[f"more than {most_bytes} bytes"])
    return content


def _read(descriptor: int, path: str, most_bytes: int, what: str, error: type[PskError]) -> bytes:
    try:
        return os.read(descriptor, most_bytes + 1)
    except OSError as reason:
        raise error(f"{what} {path!a} cannot be read: {reason.strerror}") from None


def _check_private(path: str, status: os.stat_result, what: str, error: type[PskError]) -> None:
    import stat  # only where a secret is read

    if not stat.S_ISREG(status.st_mode):
        raise error(f"{what} {path!a} is not a regular file", remedy="write the secret into a file of mode 0600")
    if hasattr(os, "geteuid") and (status.st_uid not in {0, os.geteuid()} or status.st_mode & _OTHERS):
        raise error(
            f"{what} {path!a} is not private",
            found=[f"mode {stat.S_IMODE(status.st_mode):04o}", f"owner {status.st_uid}"],
            remedy=f"it must belong to you, and nobody else may read it: chmod 600 {path!a}",
        )
