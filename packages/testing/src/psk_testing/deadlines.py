"""Did a call end in time? Measured beside a thread that notices when this machine had no time for anybody."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

GRACE_SECONDS: Final = 0.5
"""By so much a call may end after its deadline (C5)."""

_TICK = 0.01


class Clock:
    """Hold how long a block took, and for how long of that the machine did not let this process run.

    Attributes:
        seconds: How long it took.
        stalled: Seconds by which the naps of another thread were too long meanwhile.
    """

    def __init__(self) -> None:
        self.seconds = self.stalled = 0.0

    def late(self, timeout: float) -> bool:
        """Tell whether a call with this timeout ended too late, and not because the machine was busy."""
        return self.seconds - self.stalled > timeout + GRACE_SECONDS


@contextmanager
def timed() -> Iterator[Clock]:
    """Measure a block; read the clock behind it."""
    clock, done = Clock(), threading.Event()

    def watch() -> None:
        last, used = time.monotonic(), time.process_time()
        while not done.wait(_TICK):
            now, busy = time.monotonic(), time.process_time()
            # What this process computed meanwhile is its own doing.
            clock.stalled += max(0.0, now - last - 2 * _TICK - (busy - used))
            last, used = now, busy

    watcher = threading.Thread(target=watch, name="stall watcher", daemon=True)
    watcher.start()
    start = time.monotonic()
    try:
        yield clock
    finally:
        clock.seconds = time.monotonic() - start
        done.set()
        watcher.join()
