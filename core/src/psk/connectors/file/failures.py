"""Which typed error stands for which failure of the file system?"""

from __future__ import annotations

import errno
import os
from typing import Final

from psk.errors import ChannelFullError, ChannelUnavailableError, PskError
from psk.plugins.importing import shortage

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_REMEDIES: Final = {
    errno.EACCES: "give this user access, or use another directory",
    errno.EPERM: "use a directory of this user, on a file system with hard links and permissions",
    errno.EROFS: "mount it writable, or use another directory",
    errno.ENOTDIR: "give the path of a directory",
    errno.ENOENT: "create it again, or put an object, which does",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "raise the system's limit of open files",
}


def unavailable(error: OSError, doing: str, path: str) -> ChannelUnavailableError:
    """Build the error for a directory that cannot be used."""
    remedy = _REMEDIES.get(error.errno or 0, "see to the directory and its file system")
    reason = error.strerror or type(error).__name__
    return ChannelUnavailableError(f"cannot {doing} {path!a}: {reason}", remedy=remedy)


def check_reachable(path: str) -> None:
    """Make sure that a directory is there.

    Raises:
        ChannelUnavailableError: It is not.
    """
    try:
        os.stat(path or "/")  # noqa: PTH116  pathlib costs 10 ms of import
    except FileNotFoundError as error:
        raise ChannelUnavailableError(
            f"the directory {path!a} is not reachable from here: there is none",
            remedy="if it is of another host or container, mount it here under the same path; "
            "else see to the path, or put an object there, which makes it",
        ) from error
    except OSError:
        pass  # opening it will say what it is


def failure(error: OSError | ImportError, doing: str, path: str, *, descriptor: int = -1, nbytes: int = 0) -> PskError:
    """Build the typed error for a failed system call, or for a module that could not be imported when it was needed.

    Args:
        error: What the system said.
        doing: What was tried, as a verb phrase that the path completes.
        path: The directory.
        descriptor: The directory's descriptor, to ask for free space.
        nbytes: Size of what should have been written.

    Raises:
        MemoryError: The system had no memory; that is no matter of the channel.
    """
    if isinstance(error, ImportError):
        return shortage(error)
    if error.errno == errno.ENOMEM:
        raise MemoryError(f"no memory to {doing} {path}") from error
    if error.errno not in _FULL:
        return unavailable(error, doing, path)
    found = [f"object of {nbytes} bytes"]
    remedy = "evict objects or clear the store, or use a larger file system"
    if error.errno == errno.EFBIG:
        remedy = "raise the limit of a file's size (ulimit -f), or use a file system without one"
    else:
        try:
            space = os.fstatvfs(descriptor)
            found.append(f"{space.f_bavail * space.f_frsize} bytes free")
        except OSError:
            pass  # the first error says enough
    return ChannelFullError(f"no room to {doing} {path!a}: {error.strerror}", found=found, remedy=remedy)
