"""Run operations on the objects of a directory, with typed errors, until the channel is closed."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar, TypeVarTuple

from psk.connectors.directory.directory import failure
from psk.connectors.reaper import REAPER
from psk.errors import ConnectorClosedError, DeadlineError, PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from psk.connectors.directory.objects import Objects
    from psk.connectors.watching import Settable

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

LOOKS_AT_OPENING: Final = 32
"""Number of files swept while a channel opens; the rest is swept by the background thread, so opening stays short."""

RETRY_SECONDS: Final = 1.0
"""Seconds before another attempt to free an object that another process is deciding about."""


class Channel:
    """Run operations on the objects of a directory, with typed errors, until it is closed.

    Args:
        path: The directory.
        create: Whether to make it if it is missing.

    Attributes:
        waiting: What is set when the channel is closed: for those who wait for its objects.
    """

    __slots__ = ("__weakref__", "_due", "_is_closed", "_objects", "_sweep", "path", "waiting")

    scheme: ClassVar[str]

    def __init__(self, path: str, *, create: bool) -> None:
        self.path = path
        self._is_closed = False
        self.waiting: set[Settable] = set()
        self._due: dict[str, float] = {}
        self._objects: Objects | None = self._open(create=create)
        self._sweep: Iterator[None] | None = self._objects.sweep()
        self._sweep_on(LOOKS_AT_OPENING)
        if self._sweep is not None:
            REAPER.watch(self, time.monotonic())

    def _open(self, *, create: bool) -> Objects:
        """Open the directory."""
        raise NotImplementedError

    def _recover(self, objects: Objects, error: OSError | None, *, writing: bool) -> Objects | None:  # noqa: ARG002  for shared memory
        """Return with which objects to try again what failed or found nothing; None if that is the answer.

        A directory that was removed has nothing in it: then the one that has its path now is asked. If there is
        none, that is an error, not a missing object; an object that is put makes it again.
        """
        return None if objects.directory.is_there() else self._reopen(create=writing)

    def typed(self, error: OSError | ImportError, doing: str, nbytes: int) -> PskError:
        """Build the error for a failed operation."""
        objects = self._objects
        descriptor = -1 if objects is None else objects.directory.descriptor
        return failure(error, doing, self.path, descriptor=descriptor, nbytes=nbytes)

    def opened(self) -> Objects:
        """Return the objects of the open directory.

        Raises:
            ConnectorClosedError: The channel was closed.
        """
        objects = self._objects
        if objects is None:
            raise ConnectorClosedError(f"the connector to {self.uri()} is closed", remedy="open a new one")
        return objects

    def uri(self) -> str:
        """Name the channel in messages."""
        return f"file://{self.path}"

    def run(self, doing: str, operation: Callable[[Objects, *Ts], T], *args: *Ts, nbytes: int = -1) -> T:
        """Run an operation, once more if the directory was replaced meanwhile.

        Args:
            doing: What the operation does, as a verb phrase that the path completes.
            operation: Called with the objects and the arguments.
            args: More arguments.
            nbytes: How much it writes; negative if it only reads or removes.
        """
        objects = self.opened()
        try:
            try:
                found = operation(objects, *args)
                again = None if found else self._recover(objects, None, writing=nbytes >= 0)
            except OSError as error:
                # File systems disagree on the error for a directory that is gone: ENOENT, EPERM, ESTALE.
                again = None if isinstance(error, PskError) else self._recover(objects, error, writing=nbytes >= 0)
                if again is None:
                    raise
            return found if again is None else operation(again, *args)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            raise self.typed(error, doing, max(nbytes, 0)) from error

    def _reopen(self, *, create: bool) -> Objects:
        objects = self._objects = self._open(create=create)
        if self._is_closed:  # meanwhile, by another thread
            self._objects = None
            self.opened()
        return objects

    def expect(self, key: str, ttl: float | None) -> None:
        """Have an object freed soon after its time, as long as this process keeps the channel open."""
        if ttl is not None:
            self._due[key] = when = time.monotonic() + ttl
            REAPER.watch(self, when)
        elif self._due and self._due.pop(key, None) is not None and not self._due:
            REAPER.forget(self)

    def reap(self) -> float | None:
        """Sweep, and remove what has expired; return when the next object does. Called by the background thread."""
        self._sweep_on(float("inf"))
        now = time.monotonic()
        for key, when in list(self._due.items()):
            objects = self._objects
            if when <= now and objects is not None:
                left = None
                try:
                    left = objects.reap(key)
                except DeadlineError:
                    left = RETRY_SECONDS
                except (OSError, PskError):
                    pass  # another process that meets the object, or opens the channel, will try again
                if left is None:
                    self._due.pop(key, None)
                else:  # renewed by another process
                    self._due[key] = now + left
        return min(list(self._due.values()), default=None)

    def _sweep_on(self, looks: float) -> None:
        """Continue the sweep that the opening began; what cannot be removed is left to the next opening."""
        # Taken out meanwhile: a forked child must not go on with what a thread of its parent is in the middle of.
        sweep, self._sweep = self._sweep, None
        with suppress(OSError, PskError):
            for _ in sweep or ():
                looks -= 1
                if looks <= 0 or self._is_closed:
                    self._sweep = sweep
                    return

    def close(self) -> Objects | None:
        """Let go of the directory; return the objects if it was open."""
        self._is_closed = True
        objects, self._objects = self._objects, None
        self._sweep = None
        if objects is not None:
            objects.tidy()
        self._due.clear()
        REAPER.forget(self)
        for settable in list(self.waiting):
            settable.set()
        return objects
