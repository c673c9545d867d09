"""Wake a waiting thread; a finaliser or a signal handler may do so in the middle of anything.

`threading.Event` takes a lock in Python code: its own thread hangs if it is interrupted while it holds it, and a signal
handler that raises at that moment leaves it locked for good. What is here is one call of C.
"""

from __future__ import annotations

from _thread import TIMEOUT_MAX, allocate_lock
from contextlib import suppress

__all__ = ["Wake"]


class Wake:
    """Remembers that it was set until one of the threads that wait for it has seen it."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake one thread, or let the next wait return at once."""
        if self._lock.locked():  # else it is set already
            with suppress(RuntimeError):  # another thread was faster
                self._lock.release()

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, and see it; tell whether it was before time was up."""
        return self._lock.acquire(timeout=min(max(seconds, 0.0), TIMEOUT_MAX))
