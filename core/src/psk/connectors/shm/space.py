"""Where in a session are a connector's objects? In a directory that all connectors of a process share."""

from __future__ import annotations

import errno
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, Final, ParamSpec, TypeVar

from psk.connectors.file.directory import Directory
from psk.connectors.reaper import REAPER
from psk.connectors.shm.expiry import reap_object
from psk.connectors.shm.limits import typed
from psk.connectors.shm.liveness import check_private
from psk.connectors.shm.pool import Pool
from psk.connectors.shm.removing import sweep_space
from psk.errors import ChannelUnavailableError, PskError

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors.shm.session import Session

T = TypeVar("T")
P = ParamSpec("P")

_PATIENCE: Final = 1.0


class Space:
    """Run operations on one space of a session.

    Args:
        session: The session; this process has entered it.
        name: The space's name, a directory of the session.
        create: Whether to make it if it is missing.
    """

    __slots__ = ("__weakref__", "_due", "directory", "name", "path", "pool", "session", "users")

    def __init__(self, session: Session, name: str, *, create: bool) -> None:
        self.session = session
        self.name = name
        self.path = f"{session.path}/{name}"
        self.pool = Pool()
        self.users = 0
        self._due: dict[str, float] = {}
        self.directory = self._opened(create=create)
        sweep_space(self.directory, time.monotonic() + _PATIENCE)

    def run(
        self, doing: str, operation: Callable[Concatenate[Directory, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that finds something or not.

        Args:
            doing: What it does, as a verb phrase that the path completes.
            operation: Called with the directory and the arguments.
            args: More arguments.
            kwargs: More arguments.

        Raises:
            ChannelUnavailableError: The session has ended.
        """
        self.session.check()
        directory = self.directory
        try:
            try:
                found = operation(directory, *args, **kwargs)
            except OSError as error:
                if not self._freed_descriptors(error):
                    raise
                found = operation(directory, *args, **kwargs)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            self._check_there(directory)
            raise typed(error, doing, directory) from error
        if not found:
            self._check_there(directory)
        return found

    def write(
        self, nbytes: int, operation: Callable[Concatenate[Directory, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that writes `nbytes` bytes; in a new directory if ours was removed behind our back."""
        self.session.check()
        directory = self.directory
        try:
            try:
                return operation(directory, *args, **kwargs)
            except OSError as error:
                if not self._freed_descriptors(error):
                    if isinstance(error, PskError) or directory.is_there():
                        raise
                    self.session.revive()
                    directory = self.directory = self._opened(create=True)
            return operation(directory, *args, **kwargs)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            self._check_there(directory)
            raise typed(error, "write to", directory, nbytes) from error

    def expect(self, key: str, ttl: float | None) -> None:
        """Have an object freed soon after its time, as long as this process has the space open."""
        if ttl is not None:
            self._due[key] = when = time.monotonic() + ttl
            REAPER.watch(self, when)
        elif self._due and self._due.pop(key, None) is not None and not self._due:
            REAPER.forget(self)

    def reap(self) -> float | None:
        """Remove what has expired; return when the next object does."""
        now = time.monotonic()
        for key, when in list(self._due.items()):
            if when <= now:
                left = None
                # On an error whoever meets it, or opens the space next, will try again.
                with suppress(OSError, PskError):
                    left = reap_object(self.directory, key, now + _PATIENCE)
                if left is None:
                    self._due.pop(key, None)
                else:  # renewed by another process
                    self._due[key] = now + left
        return min(list(self._due.values()), default=None)

    def close(self) -> None:
        """Give back what only made later puts quicker."""
        self._due.clear()
        REAPER.forget(self)
        with suppress(OSError):
            self.pool.drop(self.directory)

    def _opened(self, *, create: bool) -> Directory:
        try:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(self.path, 0o700)  # noqa: PTH102  pathlib costs 10 ms of import
            directory = Directory(self.path, create=False)
            check_private(directory.descriptor, self.path)
        except FileNotFoundError:
            raise self.session.ended() from None
        except ChannelUnavailableError:
            self.session.check_pulse()
            raise
        return directory

    def _freed_descriptors(self, error: OSError) -> bool:
        """Give up what only makes puts quicker if descriptors ran short; tell whether another attempt is worth it."""
        return error.errno in {errno.EMFILE, errno.ENFILE} and self.pool.let_go()

    def _check_there(self, directory: Directory) -> None:
        if not directory.is_there():
            self.session.check_pulse()
            raise ChannelUnavailableError(
                f"the directory {self.path!a} was removed, with all objects in it",
                remedy="see who empties the session's directory; the next put makes it again",
            )
