"""Waking one thread: an event that a finaliser or a signal handler may set in the middle of anything.

`threading.Event` has a lock inside, which hangs where its own thread is interrupted while it holds it.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock
from contextlib import suppress

__all__ = ["Wake"]


class Wake:
    """Remembers that it was set until one thread, the only one to wait for it, has seen it."""

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake the thread, or let its next wait return at once."""
        with suppress(RuntimeError):  # it is set already
            self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, and see it; tell whether it was before time was up."""
        return self._lock.acquire(timeout=min(max(seconds, 0.0), TIMEOUT_MAX))
