"""Wait by looking again and again, until another thread wakes this one, or for a descriptor."""

from __future__ import annotations

import os
import time
from _thread import TIMEOUT_MAX, allocate_lock
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

FIRST_PAUSE: Final = 0.0002
SHORT_PAUSE: Final = 0.002
"""Seconds between two looks, at most, while the answer is likely to be near."""

LONG_PAUSE: Final = 0.05
"""Seconds between two looks, at most, afterwards: 20 looks a second cost almost nothing."""

PATIENT_AFTER: Final = 1.0
_PIPE_BYTES: Final = 4096


def poll(look: Callable[[], T], deadline: float, *, interval: float | None = None) -> T:
    """Look until something is there, or time is up.

    Args:
        look: Returns what is there; empty for nothing.
        deadline: When to look for the last time, by `time.monotonic`.
        interval: Seconds between two looks, for a channel on which a look is expensive (its `look_interval`); None
            looks after 0.2 ms, then less and less often, down to every 50 ms.

    Returns:
        What the last look returned.
    """
    start = now = time.monotonic()
    pause = FIRST_PAUSE if interval is None else interval
    while not (found := look()) and (now := time.monotonic()) < deadline:
        time.sleep(min(pause, deadline - now))
        if interval is None:
            pause = min(2 * pause, SHORT_PAUSE if now - start < PATIENT_AFTER else LONG_PAUSE)
    return found


class Wake:
    """Wake one waiting thread, also from a finaliser or a signal handler.

    `threading.Event` takes a lock in Python code: a thread that is interrupted while it holds that lock, and sets the
    event in the handler, hangs. Each operation here is one call of C.
    """

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = allocate_lock()
        self._lock.acquire()

    def set(self) -> None:
        """Wake one thread, or let the next wait return at once."""
        if self._lock.locked():  # else it is set already
            try:  # noqa: SIM105  contextlib is not imported for this alone
                self._lock.release()
            except RuntimeError:  # another thread was faster
                pass

    def wait(self, seconds: float) -> bool:
        """Wait until it is set, and reset it; False if time was up first."""
        return self._lock.acquire(timeout=min(max(seconds, 0.0), TIMEOUT_MAX))


class WakePipe:
    """Wake a thread that polls descriptors: a pipe whose descriptor becomes readable when it is set."""

    __slots__ = ("_reading", "_writing")

    def __init__(self) -> None:
        self._reading = -1  # in case no descriptor is left
        self._reading, self._writing = os.pipe()
        os.set_blocking(self._reading, False)
        os.set_blocking(self._writing, False)

    def fileno(self) -> int:
        """Return the descriptor to poll; -1 if it is closed."""
        return self._reading

    def set(self) -> None:
        """Make the descriptor readable."""
        try:  # noqa: SIM105  as above
            os.write(self._writing, b"\0")
        except BlockingIOError:  # full: it is readable already
            pass

    def clear(self) -> None:
        """Make the descriptor unreadable again."""
        try:  # noqa: SIM105  as above
            os.read(self._reading, _PIPE_BYTES)
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Close both ends; twice is not an error."""
        reading, self._reading = self._reading, -1
        if reading >= 0:
            os.close(reading)
            os.close(self._writing)
