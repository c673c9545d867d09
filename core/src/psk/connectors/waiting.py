"""Wait by looking again and again, until another thread wakes this one, or for a descriptor."""

from __future__ import annotations

import os
import time
from _thread import TIMEOUT_MAX, allocate_lock
from io import FileIO
from itertools import chain, starmap
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
        # By C code alone, into objects that close their descriptors themselves: an interrupt cannot come in between.
        self._reading, self._writing = map(FileIO, chain.from_iterable(starmap(os.pipe, ((),))), ("r", "w"))
        os.set_blocking(self._reading.fileno(), False)
        os.set_blocking(self._writing.fileno(), False)

    def fileno(self) -> int:
        """Return the descriptor to poll; -1 if it is closed."""
        return -1 if self._reading.closed else self._reading.fileno()

    def set(self) -> None:
        """Make the descriptor readable; does nothing if it is closed."""
        try:  # noqa: SIM105  as above
            self._writing.write(b"\0")  # if it is full it is readable already
        except (OSError, ValueError):  # closed, perhaps at this moment by another thread
            pass

    def clear(self) -> None:
        """Make the descriptor unreadable again; does nothing if it is closed."""
        try:  # noqa: SIM105  as above
            self._reading.read(_PIPE_BYTES)
        except (OSError, ValueError):  # closed, perhaps at this moment by another thread
            pass

    def close(self) -> None:
        """Close both ends; twice is not an error."""
        self._reading.close()
        self._writing.close()

    def __del__(self) -> None:
        try:  # noqa: SIM105  as above
            self.close()
        except AttributeError:  # no descriptor was left to make it
            pass
