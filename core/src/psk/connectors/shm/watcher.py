"""Who hears that a session's owner has died? One daemon thread per process, asleep until it happens."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol

from psk.connectors.shm.liveness import has_ended

if TYPE_CHECKING:
    import select

PAUSE: Final = 0.01
PATIENCE: Final = 10.0
"""Seconds to try to remove a dead session: a large process takes a while to die, and holds its lock meanwhile."""


class Watched(Protocol):
    """Something that ends with a descriptor."""

    def end(self) -> bool:
        """Do what the end demands; False if it has to be tried again."""
        ...


class Watcher:
    """Call `end` of whatever's descriptor is hung up."""

    __slots__ = ("_ending", "_lock", "_thread", "_wake", "_watched")

    def __init__(self) -> None:
        # Re-entrant: a connector that is garbage-collected meanwhile forgets what it had watched.
        self._lock = threading.RLock()
        self._watched: dict[int, Watched] = {}
        self._ending: list[tuple[Watched, float]] = []
        self._thread: threading.Thread | None = None
        self._wake = (-1, -1)

    def watch(self, descriptor: int, watched: Watched) -> None:
        """Call `watched.end()` soon after the other end of a FIFO was closed."""
        with self._lock:
            self._watched[descriptor] = watched
            if self._thread is not None and self._thread.is_alive():
                os.write(self._wake[1], b"\0")
                return
            self._close_wake()
            import select  # noqa: F401  # by the thread, in which nobody would see it fail

            self._wake = os.pipe()
            self._thread = threading.Thread(target=self._run, name="psk-shm-watcher", daemon=True)
            try:
                self._thread.start()
            except RuntimeError:  # no thread to be had: the next one to open a session will sweep
                self._thread = None
                self._close_wake()

    def forget(self, descriptor: int) -> None:
        """Watch a descriptor no longer; it may be closed after the return."""
        with self._lock:
            if self._watched.pop(descriptor, None) is not None and self._thread is not None:
                os.write(self._wake[1], b"\0")

    def reset(self) -> None:
        """Start afresh in a forked child, where the thread does not exist."""
        self._close_wake()
        self.__init__()  # type: ignore[misc]  # all that was inherited is the parent's

    def _run(self) -> None:
        while (poll := self._poll()) is not None:
            for descriptor, _ in poll.poll(PAUSE * 1000 if self._ending else None):
                if descriptor == self._wake[0]:
                    os.read(descriptor, 4096)
                    continue
                with self._lock:
                    # The descriptor may have been closed since the poll began, and its number be another's now.
                    if descriptor in self._watched and has_ended(descriptor):
                        self._ending.append((self._watched.pop(descriptor), time.monotonic() + PATIENCE))
            self._ending = [(watched, until) for watched, until in self._ending if not _ended(watched, until)]

    def _poll(self) -> select.poll | None:
        import select

        with self._lock:
            if not self._watched and not self._ending:
                self._thread = None
                self._close_wake()
                return None
            poll = select.poll()
            poll.register(self._wake[0], select.POLLIN)
            for descriptor in self._watched:
                poll.register(descriptor, 0)  # hanging up is reported always
            return poll

    def _close_wake(self) -> None:
        for descriptor in self._wake:
            if descriptor >= 0:
                with suppress(OSError):
                    os.close(descriptor)
        self._wake = (-1, -1)


def _ended(watched: Watched, until: float) -> bool:
    try:
        return watched.end() or time.monotonic() > until
    except Exception:  # noqa: BLE001  one session's trouble must not keep the others from being heard
        sys.excepthook(*sys.exc_info())
        return True


WATCHER: Final = Watcher()
