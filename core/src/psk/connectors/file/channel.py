"""What if the directory goes, comes back or is closed meanwhile? Each operation runs through here."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Concatenate, ParamSpec, TypeVar

from psk.connectors.file.clock import ServerClock
from psk.connectors.file.directory import Directory
from psk.connectors.file.failures import failure
from psk.connectors.file.objects import reap_object
from psk.connectors.file.sweep import sweep, tidy
from psk.connectors.file.waiting import await_objects
from psk.connectors.reaper import REAPER
from psk.errors import ConnectorClosedError, PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")
P = ParamSpec("P")


class Channel:
    """Run operations on a directory, with typed errors, until it is closed.

    Args:
        path: The directory, absolute; swept as it is opened.
        create: Whether to make it if it is missing.
    """

    __slots__ = ("__weakref__", "_directory", "_due", "_is_closed", "_was_waited_on", "clock", "path")

    def __init__(self, path: str, *, create: bool) -> None:
        self.path = path
        self.clock = ServerClock()
        self._is_closed = self._was_waited_on = False
        self._due: dict[str, float] = {}
        self._directory: Directory | None = Directory(path, create=create)
        sweep(self._directory, self.clock)

    def directory(self) -> Directory:
        """Return the open directory.

        Raises:
            ConnectorClosedError: It was closed.
        """
        directory = self._directory
        if directory is None:
            raise ConnectorClosedError(f"the connector to file://{self.path} is closed", remedy="open a new one")
        return directory

    def run(
        self, doing: str, operation: Callable[Concatenate[Directory, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run an operation that finds something or not.

        A directory that was removed behind our back has nothing in it; then the one that bears its name now
        is asked, and if there is none that is an error, not a missing object.

        Args:
            doing: What the operation does, as a verb phrase that the path completes.
            operation: Called with the directory and the arguments.
            args: More arguments.
            kwargs: More arguments.
        """
        directory = self.directory()
        try:
            try:
                found = operation(directory, *args, **kwargs)
            except OSError as error:
                if isinstance(error, PskError) or directory.is_there():
                    raise
            else:
                if found or directory.is_there():
                    return found
            return operation(self._reopen(create=False), *args, **kwargs)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            raise failure(error, doing, self.path) from error

    def write(
        self,
        nbytes: int,
        operation: Callable[Concatenate[Directory, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Run an operation that writes, in a new directory if ours was removed behind our back.

        Args:
            nbytes: How much it writes, for messages.
            operation: Called with the directory and the arguments.
            args: More arguments.
            kwargs: More arguments.
        """
        directory = self.directory()
        try:
            try:
                return operation(directory, *args, **kwargs)
            except OSError as error:
                # File systems disagree on the error for a directory that is gone: ENOENT, EPERM, ESTALE.
                if isinstance(error, PskError) or directory.is_there():
                    raise
            directory = self._reopen(create=True)
            return operation(directory, *args, **kwargs)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            raise failure(error, "write to", self.path, descriptor=directory.descriptor, nbytes=nbytes) from error

    def _reopen(self, *, create: bool) -> Directory:
        directory = self._directory = Directory(self.path, create=create)
        if self._is_closed:  # meanwhile, by another thread
            self._directory = None
            self.directory()
        return directory

    def expect(self, key: str, ttl: float | None) -> None:
        """Have an object freed soon after its time, as long as this process keeps the channel open."""
        if ttl is not None:
            self._due[key] = when = time.monotonic() + ttl
            REAPER.watch(self, when)
        elif self._due and self._due.pop(key, None) is not None and not self._due:
            REAPER.forget(self)

    def reap(self) -> float | None:
        """Remove what has expired; return when the next object does."""
        now = time.monotonic()
        for key, when in list(self._due.items()):
            directory = self._directory
            if when <= now and directory is not None:
                left = None
                # On an error whoever meets it, or opens the directory next, will try again.
                with suppress(OSError, PskError):
                    left = reap_object(directory, key, self.clock)
                if left is None:
                    self._due.pop(key, None)
                else:  # renewed by another process
                    self._due[key] = now + left
        return min(list(self._due.values()), default=None)

    def wait(self, names: Sequence[str], deadline: float) -> list[str]:
        """Wait for objects; see `await_objects`."""
        self._was_waited_on = True
        try:
            return await_objects(self, names, deadline)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            raise failure(error, "wait in", self.path) from error

    def close(self) -> None:
        """Let go of the directory; whoever waits is told."""
        self._is_closed = True
        directory, self._directory = self._directory, None
        if directory is not None:
            tidy(directory)
        self._due.clear()
        REAPER.forget(self)
        if self._was_waited_on:
            with suppress(ImportError, OSError):  # it could not be imported by those who waited either
                from psk.connectors.notices import NOTICES

                NOTICES.forget(self)
