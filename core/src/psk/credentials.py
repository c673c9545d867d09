"""Keep credentials secret: mask them in URIs that are shown, and read them from files that nobody else can read."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from psk.errors import PskError

MASK = "***"
DEEPEST = 4
"""Levels of percent-encoding that are decoded, as in URIs in the options of another; more are not in use."""
#: Bytes that a file of a secret holds at most by default.
MOST_BYTES = 64 * 1024
#: The permissions that others than the owner of such a file must not have.
OTHERS = 0o077

_split = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}://)([^/?#]*)(/?[^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL).fullmatch
# A port has five digits at most; what else follows a colon may be the beginning of a password with a slash in it.
_is_host = re.compile(r"(?:[\w.~%*-]*|\[[\w.:%*]*\])(?::[\d*]{1,5})?", re.ASCII).fullmatch
_is_secret = re.compile(r"pass|pw|secret|token|auth|cred|key|sig", re.IGNORECASE).search


def masked_uri(uri: object) -> str:
    """Return a URI without what is, or may be, a secret: a password before the host, or an option named like one.

    Args:
        uri: A URI as text or bytes, which need not be valid; a pattern of URIs; or anything that was given as one.
    """
    if isinstance(uri, bytes):
        uri = uri.decode("latin-1")  # which takes any byte
    return _masked(str(uri), DEEPEST)


def _masked(uri: str, depth: int) -> str:
    found = _split(uri)
    if found is None:
        return MASK if any(mark in _unquoted(uri) for mark in "@?#") else uri
    scheme, authority, path, query, fragment = found.groups()
    if ":" in _unquoted(authority) and "@" in _unquoted(uri[found.end(2) :]):
        # A password with a slash, a question mark or a hash continues in what parses as path, query or fragment.
        return f"{scheme}{_masked_user(authority)}/{MASK}"
    shown = scheme + _masked_authority(authority) + path
    if query is not None:
        shown += "?" + "&".join(_masked_option(option, depth) for option in query.split("&"))
    return f"{shown}#{MASK}" if fragment else shown


def _masked_user(authority: str) -> str:
    return f"{_unquoted(authority).partition(':')[0]}:{MASK}"


def _masked_authority(authority: str) -> str:
    plain = _unquoted(authority)
    user, _, place = plain.rpartition("@")
    if ":" in user:
        return f"{user.partition(':')[0]}:{MASK}@{place if _are_hosts(place) else MASK}"
    return authority if _are_hosts(place) else MASK


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # costs as much to import as a connector

    return unquote(text)


def _are_hosts(text: str) -> bool:
    return all(map(_is_host, text.split(",")))


def _masked_option(option: str, depth: int) -> str:
    name, equals, value = option.partition("=")
    if not equals:
        return MASK if option else ""
    plain = _unquoted(value)
    named = _unquoted(name) + plain * ("=" in plain)  # some separate options by other signs
    secret = _is_secret(named) or "@" in plain or (plain != value and (not depth or _hides(plain, depth)))
    return f"{name}={MASK}" if secret else option


def _hides(value: str, depth: int) -> bool:
    return _masked(value, depth - 1) != value


def read_secret(
    path: str, *, what: str, error: type[PskError], most_bytes: int = MOST_BYTES, follow_links: bool = True
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
        PskError: The file is not private, not a regular file, empty, too long, or cannot be read; of the class `error`.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    if not follow_links:
        flags |= getattr(os, "O_NOFOLLOW", 0)
    try:
        descriptor = os.open(path, flags)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as reason:  # ValueError: the path has a null character
        explained = getattr(reason, "strerror", None) or reason
        raise error(
            f"{what} {path!a} cannot be opened: {explained}", remedy="make it a regular file of mode 0600"
        ) from None
    try:
        _check_private(path, os.fstat(descriptor), what, error)
        content = _read(descriptor, path, most_bytes, what, error)
    finally:
        os.close(descriptor)
    if len(content) > most_bytes:
        raise error(f"{what} {path!a} is too long", found=[f"more than {most_bytes} bytes"])
    if not content.strip():
        raise error(f"{what} {path!a} is empty", remedy="write the secret into it")
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
    if hasattr(os, "geteuid") and (status.st_uid not in {0, os.geteuid()} or status.st_mode & OTHERS):
        raise error(
            f"{what} {path!a} is not private",
            found=[f"mode {stat.S_IMODE(status.st_mode):04o}", f"owner {status.st_uid}"],
            remedy=f"it must belong to you, and nobody else may read it: chmod 600 {path!a}",
        )
