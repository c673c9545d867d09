"""Free what has expired, in one daemon thread per process that runs only while something will expire."""

from __future__ import annotations

import threading
import time
import weakref
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from psk.errors import report_ignored
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from typing import Protocol

    class Reapable(Protocol):
        """Something that holds objects with an expiry."""

        def reap(self) -> float | None:
            """Free what has expired; return when the next object does, by `time.monotonic`, or None."""


SHORTEST_PAUSE: Final = 0.25
"""Seconds between two rounds, at least: objects that expire shortly after each other are freed together."""

LONGEST_PAUSE: Final = 1.0
"""Seconds between two rounds, at most, so that the thread ends soon after its last owner."""


class Reaper:
    """Call owners when some of their objects have expired."""

    __slots__ = ("__weakref__", "_changed", "_due", "_lock", "_thread")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Forget everything, locks included: for a forked child, where the thread does not exist."""
        # Entered explicitly: an interrupt in Condition's own `__enter__` may leave it locked.
        self._lock = threading.RLock()
        self._changed = threading.Condition(self._lock)
        self._due: weakref.WeakKeyDictionary[Reapable, float] = weakref.WeakKeyDictionary()
        self._thread: threading.Thread | None = None

    def watch(self, owner: Reapable, when: float) -> None:
        """Call `owner.reap` soon after `when` (by `time.monotonic`), unless an earlier call is planned."""
        with self._lock:
            if when < self._due.get(owner, float("inf")):
                self._due[owner] = when
                self._changed.notify()
            thread = None
            # Asked each time: an interrupt may come between any two lines.
            if self._thread is None or not self._thread.is_alive():
                thread = self._thread = threading.Thread(target=self._run, name="psk-reaper", daemon=True)
        # Without the lock: `start` waits for the thread, in which the garbage collector may finalise an owner.
        if thread is not None:
            with suppress(RuntimeError):  # the interpreter ends, or no thread can start: the next access frees it
                thread.start()

    def forget(self, owner: Reapable) -> None:
        """Do not call this owner again."""
        with self._lock:
            if self._due.pop(owner, None) is not None:
                self._changed.notify()

    def _run(self) -> None:
        while ready := self._wait():
            # Popped one by one, so that no owner is kept alive during the next wait.
            while ready:
                owner = ready.pop()
                try:
                    when = owner.reap()
                except Exception:  # noqa: BLE001  the failure of one owner must not stop the others
                    report_ignored(type(owner), "psk could not free what has expired")
                    when = time.monotonic() + LONGEST_PAUSE
                if when is not None:
                    self.watch(owner, max(when, time.monotonic() + SHORTEST_PAUSE))
                del owner

    def _wait(self) -> list[Reapable]:
        me = threading.current_thread()
        with self._lock:
            # Another thread takes over if it was made before this one had started.
            while self._thread is me and (due := list(self._due.items())):
                now = time.monotonic()
                if ready := [owner for owner, when in due if when <= now]:
                    for owner in ready:
                        del self._due[owner]
                    return ready
                pause = min(when for _, when in due) - now
                del due  # holds the owners
                self._changed.wait(min(pause, LONGEST_PAUSE))
            if self._thread is me:
                self._thread = None
            return []


REAPER: Final = after_fork_in_child(Reaper(), Reaper.reset)
