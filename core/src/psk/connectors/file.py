"""Keep objects in a directory of any file system, one file each."""

from __future__ import annotations

import errno
import os
import time
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from psk.connectors import DEFAULT_TIMEOUT, DURABILITIES, as_seconds, as_text, read_options, shown
from psk.connectors.directory.channel import Channel
from psk.connectors.directory.connector import DirectoryConnector
from psk.connectors.directory.directory import IN_MEMORY, RENEWABLE_MODE, Directory, absolute, failure, filesystem_of
from psk.connectors.directory.expiry import BOOT_CLOCK, Clock
from psk.connectors.directory.objects import Objects
from psk.connectors.directory.writing import Draft
from psk.errors import ConnectorConfigError, DurabilityError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["FileConnector"]

REFRESH_NANOSECONDS: Final = 10_000_000_000
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EDQUOT})


class FileConnector(DirectoryConnector):
    """Keep objects in a directory, one file each, readable by their owner only.

    Args:
        path: The directory; made with mode 0700 if it is missing. Relative to the current directory.
        durability: What an acknowledged `put` survives: "host" (and "volatile") the death of every psk
            process, "disk" the loss of power as well.
        timeout: Seconds a call may take when it does not say otherwise.

    Raises:
        ConnectorConfigError: An option makes no sense.
        DurabilityError: The file system cannot promise the durability.
        ChannelUnavailableError: The directory cannot be opened, or every user may write to it.
    """

    __slots__ = ("durabilities",)

    scheme: ClassVar[str] = "file"
    leaves_host: bool = True
    durabilities: tuple[str, ...]

    def __init__(
        self, path: str | os.PathLike[str], *, durability: str = "host", timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        self._open({"path": absolute(path), "durability": durability, "timeout": timeout}, create=True)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the directory that `config()` or `file:///path` names."""
        options: dict[str, Any] = read_options(config, scheme=cls.scheme, readers=_READERS, required=("path",))
        options.pop("authority", None)
        return cls(**options)

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Open the directory as `from_config` does, but make none; see `join_connector`."""
        self = cls.__new__(cls)
        self._open(config, create=False)
        return self

    def _open(self, config: Mapping[str, object], *, create: bool) -> None:
        options: dict[str, Any] = read_options(config, scheme=self.scheme, readers=_READERS, required=("path",))
        path = absolute(options["path"])
        durability = options.setdefault("durability", "host")
        self._timeout = options.setdefault("timeout", DEFAULT_TIMEOUT)
        changed = {name: options[name] for name in _DEFAULTS if options[name] != _DEFAULTS[name]}
        self._config = {"scheme": self.scheme, "path": path, **changed}
        self.durabilities = _check_durability(durability, path)
        self._channel = _FileChannel(path, create=create, durable=durability == "disk")


class _FileChannel(Channel):
    """The channel of one directory."""

    __slots__ = ("_clock", "_durable")

    def __init__(self, path: str, *, create: bool, durable: bool) -> None:
        self._clock = ServerClock()
        self._durable = durable
        super().__init__(path, create=create)

    def _open(self, *, create: bool) -> Objects:
        return Objects(Directory(self.path, create=create), self._clock, durable=self._durable)


class ServerClock(Clock):
    """Tell the file server's time: expiry goes by its clock, not by that of the process that looks.

    Every 10 seconds at most a file is made in the directory to read its time. Between these the difference to a
    clock that nobody sets is used. On a local file system the server is this host, so setting its clock moves the
    expiry with it.
    """

    __slots__ = ("_known",)

    kind = b"\x93PSK-unix"

    def __init__(self) -> None:
        self._known: tuple[int, int] | None = None

    def now(self, directory: Directory) -> int:
        """Return the file server's time, in nanoseconds since 1970."""
        here = time.clock_gettime_ns(BOOT_CLOCK)
        known = self._known
        if known is None or here - known[1] > REFRESH_NANOSECONDS:
            # One tuple, so that threads never combine two measurements.
            known = self._known = (_server_time(directory) - here, here)
        return here + known[0]


def _server_time(directory: Directory) -> int:
    draft = Draft(directory)
    try:
        draft.open(RENEWABLE_MODE)
        return os.fstat(draft.descriptor).st_mtime_ns
    except OSError as error:
        if error.errno in _REFUSED:
            return time.time_ns()  # a process that cannot write there has no better clock than its own
        raise
    finally:
        try:
            draft.remove_temporary()
        finally:
            if draft.descriptor >= 0:
                os.close(draft.descriptor)  # here: an interrupt may come at the start of any method


def _check_durability(asked: str, path: str) -> tuple[str, ...]:
    """Make sure that a directory can promise a durability, before it is made; return all that it can promise."""
    place = path
    while not os.path.isdir(place) and place != os.path.dirname(place):  # noqa: PTH112, PTH120  pathlib costs 10 ms of import
        place = os.path.dirname(place)  # noqa: PTH120  as above
    try:
        kind = filesystem_of(place, place)
    except OSError as error:
        raise failure(error, "find the file system of", path) from error
    possible = DURABILITIES[:2] if kind in IN_MEMORY else DURABILITIES[:3]
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


_DEFAULTS: Final[dict[str, object]] = {"durability": "host", "timeout": DEFAULT_TIMEOUT}
_READERS: Final = {"path": _path, "durability": as_text, "timeout": as_seconds, "authority": _no_host}
