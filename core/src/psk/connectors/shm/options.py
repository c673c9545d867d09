"""Which options does the shm connector have, and which session and space do they mean?"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import shown
from psk.connectors.config import as_count, as_seconds, as_text
from psk.connectors.file.options import absolute
from psk.errors import ChannelUnavailableError, ConnectorConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT_VARIABLE: Final = "PSK_SHM_ROOT"
ROOT: Final = absolute(os.environ.get(ROOT_VARIABLE) or "/dev/shm")  # noqa: S108  every session makes a private directory in it
"""Where sessions are unless an option says otherwise: where Linux has its shared memory."""
SHARED_SPACE: Final = "main"
"""The one space of a session with a name."""

_is_session = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}|~[0-9a-f]{16}").fullmatch
_is_space = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}").fullmatch


def check_address(name: object, space: object) -> None:
    """Make sure that session and space can be names of directories.

    Raises:
        ConnectorConfigError: They cannot, or one is given that goes without the other.
    """
    if name is not None and not (isinstance(name, str) and _is_session(name)):
        raise ConnectorConfigError(
            f"{shown(name)} is no name of a shared-memory session", remedy="use up to 64 letters, digits and . _ -"
        )
    if space is not None and not (isinstance(space, str) and _is_space(space)):
        raise ConnectorConfigError(f"{shown(space)} is no space of a session", remedy="pass on the URI as it came")
    is_private = name is not None and name.startswith("~")
    if (space is not None) != is_private:
        raise ConnectorConfigError(
            "a space goes with the token of a process's session, and with nothing else",
            found=[f"session {shown(name)}", f"space {shown(space)}"],
            remedy="write shm://, shm://<name>, or the URI of an open store",
        )


def is_token(name: str) -> bool:
    """Tell whether a session belongs to the one process that made it."""
    return name.startswith("~")


def session_path(root: str, name: str) -> str:
    """Return the directory of a session of this user."""
    return f"{root.rstrip('/')}/psk-{os.geteuid()}-{name}"


def check_joinable(options: Mapping[str, object]) -> None:
    """Make sure that a reader finds the session and space that options name.

    Raises:
        ChannelUnavailableError: They are not there.
        ConnectorConfigError: They cannot be names.
    """
    name, space = options.get("authority"), options.get("path")
    check_address(name, space)
    session = session_path(str(options.get("root", ROOT)), str(name or ""))
    if name is None or os.path.isdir(f"{session}/{space or SHARED_SPACE}"):  # noqa: PTH112  pathlib costs 10 ms of import
        return
    if space is not None and os.path.isdir(session):  # noqa: PTH112  as above
        raise ChannelUnavailableError(
            f"the store at shm://{name}/{space} was closed, and held no object then",
            remedy="keep the store open, or its objects there, until their last reader is done",
        )
    raise gone(f"there is no session shm://{name} of this user here")


def gone(what: str) -> ChannelUnavailableError:
    """Build the error for a session whose objects are gone with its processes; opening it anew brings none back."""
    return ChannelUnavailableError(
        what,
        remedy="keep the process running that opened it, of a session with a name the last one, until every reader is "
        "done; objects in a file:// store need no process",
    )


def _space_path(value: object) -> str:
    return as_text(value).removeprefix("/")


READERS: Final = {
    "authority": as_text,
    "path": _space_path,
    "root": absolute,
    "max_bytes": as_count,
    "reuse_bytes": as_count,
    "timeout": as_seconds,
}
"""How to read each option, from text or as a plain value."""
