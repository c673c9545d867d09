"""Pass objects between the processes of one host through shared memory, mapped and not copied."""

from __future__ import annotations

import os
import re
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from psk.connectors import DEFAULT_TIMEOUT, as_count, as_seconds, as_text, read_options, shown
from psk.connectors.directory.connector import DirectoryConnector
from psk.connectors.directory.directory import absolute, failure
from psk.connectors.duties import Finalised
from psk.connectors.shm.liveness import ROOT, session_path, sweep_later
from psk.connectors.shm.objects import SharedChannel
from psk.connectors.shm.session import SHARED_SPACE, Space, enter_space, gone, is_token, leave_space
from psk.errors import ChannelUnavailableError, ConnectorConfigError, ConnectorError, PskError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from psk.connectors.directory.objects import Objects

_is_session = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}|~[0-9a-f]{16}").fullmatch
_is_space = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,31}").fullmatch


class ShmConnector(DirectoryConnector, Finalised):
    """Keep objects in this host's shared memory; a reader gets its own copy-on-write view of them.

    Without a name they belong to this process, whichever process puts them, and go when it ends. The connector's URI
    opens the same place in other processes. With a name they last as long as any process uses the name.

    Args:
        name: A session to share by name, or the token of a process's session.
        space: The place within a process's session, from its URI.
        root: Where sessions are: a directory in memory.
        max_bytes: What all objects of this place may use together; None for no limit.
        reuse_bytes: What is kept of evicted objects' memory for later puts; None for a quarter of what there is,
            at most 1 GiB.
        timeout: Seconds a call may take when it does not say otherwise.

    Raises:
        ConnectorConfigError: An option makes no sense.
        ConnectorError: This system is not Linux.
        ChannelUnavailableError: The session has ended, or `root` cannot be used.
    """

    __module__ = "psk.connectors.shm"  # pickles contain it
    __slots__ = ("_entered",)

    scheme: ClassVar[str] = "shm"
    leaves_host: bool = False
    in_memory: bool = True
    durabilities: tuple[str, ...] = ("volatile",)

    _channel: SharedChannel

    def __init__(
        self,
        name: str | None = None,
        *,
        space: str | None = None,
        root: str = ROOT,
        max_bytes: int | None = None,
        reuse_bytes: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        options = {"authority": name, "path": space, "root": root, "max_bytes": max_bytes, "reuse_bytes": reuse_bytes}
        self._open(
            {name: value for name, value in options.items() if value is not None} | {"timeout": timeout}, create=True
        )

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open what `config()`, `shm://` (a new space), `shm://<name>` or a connector's URI names."""
        options: dict[str, Any] = read_options(config, scheme=cls.scheme, readers=_READERS)
        return cls(options.pop("authority", None), space=options.pop("path", None), **options)

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Open a session and space as `from_config` does, but make none; see `join_connector`."""
        self = cls.__new__(cls)
        self._open(config, create=False)
        return self

    def _open(self, config: Mapping[str, object], *, create: bool) -> None:
        self._entered: list[Space] = []
        options: dict[str, Any] = read_options(config, scheme=self.scheme, readers=_READERS)
        name, space = options.pop("authority", None), options.pop("path", None)
        root = options.get("root", ROOT)
        _check_address(name, space)
        if sys.platform != "linux":
            raise ConnectorError(
                f"shared memory needs Linux: locks that go with a process, and files in memory; this is {sys.platform}",
                remedy="use a file:// or local:// store",
            )
        if not create:
            sweep_later(root)  # first, so that the session of a killed process is not joined
            check_joinable(root, name, space)
            create = name is None
        self._timeout = options.get("timeout", DEFAULT_TIMEOUT)
        changed = {option: value for option, value in options.items() if value != _DEFAULTS.get(option)}
        try:
            enter_space(root, name, space, self._entered, create=create)
            opened = self._entered[-1]
            session = opened.session.name
            self._config = {"scheme": self.scheme, "authority": session, **changed}
            if is_token(session):
                self._config["path"] = f"/{opened.name}"
            self._channel = SharedChannel(
                opened,
                create=create,
                max_bytes=options.get("max_bytes"),
                reuse_bytes=options.get("reuse_bytes"),
                uri=f"shm://{session}",
            )
        except BaseException as error:
            self._leave()
            if isinstance(error, PskError) or not isinstance(error, OSError | ImportError):
                raise
            raise failure(error, "enter a session in", root) from error

    def _leave(self, objects: Objects | None = None) -> None:
        with suppress(IndexError):  # several threads may close it: only one leaves
            leave_space(self._entered.pop(), None if objects is None else objects.directory)


def check_joinable(root: str, name: str | None, space: str | None) -> None:
    """Make sure that a reader finds a session and a space.

    Raises:
        ChannelUnavailableError: They are not there.
    """
    session = session_path(root, str(name))
    if name is None or os.path.isdir(f"{session}/{space or SHARED_SPACE}"):  # noqa: PTH112  pathlib costs 10 ms of import
        return
    if space is not None and os.path.isdir(session):  # noqa: PTH112  as above
        raise ChannelUnavailableError(
            f"the store at shm://{name}/{space} was closed, and held no object then",
            remedy="keep the store open, or its objects there, until their last reader is done",
        )
    raise gone(f"this user has no session shm://{name} here")


def _check_address(name: object, space: object) -> None:
    """Make sure that session and space can be names of directories.

    Raises:
        ConnectorConfigError: They cannot, or one is given that goes without the other.
    """
    if name is not None and not (isinstance(name, str) and _is_session(name)):
        raise ConnectorConfigError(
            f"{shown(name)} is not the name of a shared-memory session",
            remedy="use up to 64 letters, digits and . _ -",
        )
    if space is not None and not (isinstance(space, str) and _is_space(space)):
        raise ConnectorConfigError(f"{shown(space)} is not a space of a session", remedy="pass on the URI unchanged")
    is_private = name is not None and is_token(str(name))
    if (space is not None) != is_private:
        raise ConnectorConfigError(
            "a space goes with the token of a process's session, and with nothing else",
            found=[f"session {shown(name)}", f"space {shown(space)}"],
            remedy="write shm://, shm://<name>, or the URI of an open store",
        )


def _space_path(value: object) -> str:
    return as_text(value).removeprefix("/")


_DEFAULTS: Final = {"root": ROOT, "timeout": DEFAULT_TIMEOUT}
_READERS: Final = {
    "authority": as_text,
    "path": _space_path,
    "root": absolute,
    "max_bytes": as_count,
    "reuse_bytes": as_count,
    "timeout": as_seconds,
}
