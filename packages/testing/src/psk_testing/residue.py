"""List the descriptors and threads that calls may have left in this process."""

from __future__ import annotations

import gc
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

FEW: Final = 6
"""Number of descriptors and threads that a connector may keep for later calls, as pools do."""

SETTLE_SECONDS: Final = 3.0
"""Seconds for threads and connections to end."""


def residue() -> set[str]:
    """List the open descriptors, where the system tells, and the living threads of this process."""
    held = {f"thread {thread.name} ({thread.ident})" for thread in threading.enumerate()}
    with suppress(FileNotFoundError):
        for entry in Path("/proc/self/fd").iterdir():
            with suppress(OSError):  # the descriptor of the listing itself
                held.add(f"descriptor {entry.name} -> {entry.readlink()}")
    return held


def piled_up(before: set[str]) -> list[str]:
    """List what has been added, if it is more than a few, after giving endings a moment to finish."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while len(left := residue() - before) >= FEW:
        if time.monotonic() > deadline:
            return sorted(left)
        gc.collect()
        time.sleep(0.01)
    return []
