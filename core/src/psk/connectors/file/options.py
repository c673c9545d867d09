"""Which options does the file connector have, and which directory and durability do they mean?"""

from __future__ import annotations

import os
import re
from typing import Final

from psk.connectors.arguments import shown
from psk.connectors.config import as_seconds, as_text
from psk.connectors.contract import DURABILITIES
from psk.connectors.file import mounts
from psk.connectors.file.failures import failure
from psk.errors import ConnectorConfigError, DurabilityError

_has_control = re.compile(r"[\x00-\x1f\x7f]").search


def absolute(path: object) -> str:
    """Return the one absolute spelling of a path that can travel in a URI.

    Raises:
        ConnectorConfigError: It is no path, or has control characters.
    """
    try:
        written = os.fsdecode(path)  # type: ignore[arg-type]  # whatever it is: TypeError if no path
    except TypeError:
        written = ""
    if not written or _has_control(written):
        raise ConnectorConfigError(
            f"{shown(path)} is no path of a directory", remedy="give a path without control characters"
        )
    # normpath keeps two leading slashes, which POSIX lets mean something else and Linux does not.
    return re.sub(r"^//+", "/", os.path.abspath(written))  # noqa: PTH100  pathlib costs 10 ms of import


def check_durability(asked: str, path: str) -> tuple[str, ...]:
    """Make sure that a directory can promise a durability, before it is made; return all that it can promise.

    Raises:
        ConnectorConfigError: There is no such durability.
        DurabilityError: It cannot.
        ChannelUnavailableError: There is no descriptor left to find out.
    """
    try:
        kind = mounts.filesystem_to_be(path)
    except OSError as error:
        raise failure(error, "find the file system of", path) from error
    possible = DURABILITIES[:2] if kind in mounts.MEMORY else DURABILITIES[:3]
    if asked in possible:
        return possible
    if asked not in DURABILITIES:
        raise ConnectorConfigError(
            f"{shown(asked)} is not a durability", found=possible, remedy="use one of those found"
        )
    raise DurabilityError(
        f"{path!a} on {kind or 'its file system'} cannot promise the durability {asked!r}",
        found=possible,
        remedy="use a directory on a disk" if asked == "disk" else "use another channel",
    )


def _no_host(authority: object) -> str:
    if authority in {"", "localhost"}:
        return ""
    message = "three slashes before an absolute path: file:///scratch/psk"
    raise ValueError(message)


def _path(value: object) -> str:
    if isinstance(value, str) and value.startswith("/"):
        return value
    message = "an absolute path"
    raise ValueError(message)


READERS: Final = {"path": _path, "durability": as_text, "timeout": as_seconds, "authority": _no_host}
"""How to read each option, from text or as a plain value."""
