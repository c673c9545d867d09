"""What is called at the end of the program, before the channels end their sessions?"""

from __future__ import annotations

import atexit
import threading
from typing import TYPE_CHECKING, Any, Final

from psk_patterns.finishing import finalize_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

CHILD_PRIORITY: Final = -50
"""Children of multiprocessing end lifetimes when their own children have ended, and before sessions end."""


class _Twin:
    """Equal to a callback, to learn whether atexit has it, which it does not say."""

    __hash__ = object.__hash__

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self.found = False

    def __eq__(self, other: object) -> bool:
        is_it: bool = other == self._callback
        self.found = self.found or is_it
        return is_it


def call_at_exit(callback: Callable[[], None]) -> None:
    """Have it called when the program, or a child of multiprocessing, ends; `atexit.unregister` takes it back."""
    atexit.unregister(callback)  # the one that a forked child may have inherited
    atexit.register(callback)

    def call() -> None:
        if _take_back(callback):
            callback()

    finalize_in_child(call, CHILD_PRIORITY)


def call_earlier(callback: Callable[[], None]) -> None:
    """Have it called before all that was registered meanwhile, unless it was taken back."""
    # What is registered while exit handlers run is never called; they find the main thread stopped.
    if threading.main_thread().is_alive() and _take_back(callback):
        atexit.register(callback)


def _take_back(callback: Callable[[], None]) -> bool:
    twin: Any = _Twin(callback)
    atexit.unregister(twin)  # which only compares
    return bool(twin.found)
