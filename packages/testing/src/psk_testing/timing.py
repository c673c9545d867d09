"""Measure whether a call ended in time, on machines that may be busy."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from psk.errors import PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


GRACE_SECONDS: Final = 0.5
"""By so much a call may end after its deadline (C5)."""

_TICK = 0.01


def becomes(condition: Callable[[], object], *, within: float, look_every: float = 0.001) -> bool:
    """Wait until a condition holds that announces itself by no event; tell whether it does.

    Args:
        condition: Called again and again.
        within: Seconds to wait at most.
        look_every: Seconds between two calls.
    """
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return bool(condition())
        time.sleep(look_every)
    return True


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


PACES: Final = (1.0, 3.0, 10.0)
"""Factors of the times of a test, tried one after the other until it passes."""


def at_some_pace(attempt: Callable[[float], None]) -> None:
    """Try something whose times are short, and then at a slower pace: a bug shows at each, a busy machine not.

    Args:
        attempt: Called with the number by which it multiplies its times; raises if what it saw was wrong.

    Raises:
        AssertionError: It was wrong at every pace.
        PskError: As above.
    """
    for pace in PACES[:-1]:
        try:
            attempt(pace)
        except (AssertionError, PskError):
            continue
        return
    attempt(PACES[-1])
