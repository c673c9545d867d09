"""Wake one thread from another, whatever interrupts either.

`threading.Event` and `threading.Semaphore` take a lock in Python code, and a signal handler that raises at that moment
leaves it locked for good. What is here is one call of C.
"""

from __future__ import annotations

import threading


class Wake:
    """A flag that a thread waits for, and that the end of the wait takes down again."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def set(self) -> None:
        """Raise the flag; one of those who wait goes on."""
        if self._lock.locked():
            try:
                self._lock.release()
            except RuntimeError:
                return  # another thread was faster

    def wait(self, seconds: float) -> bool:
        """Wait until the flag is raised, at most so long; tell whether it was."""
        return self._lock.acquire(timeout=seconds)
