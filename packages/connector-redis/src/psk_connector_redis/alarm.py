"""How is a thread woken that waits for a socket? By a byte in a pipe that it polls beside it."""

from __future__ import annotations

import os
from contextlib import suppress

_MOST_BYTES = 4096


class Alarm:
    """A pipe of which one end is polled and the other rung."""

    __slots__ = ("_ringing", "descriptor")

    def __init__(self) -> None:
        self.descriptor, self._ringing = os.pipe()
        os.set_blocking(self.descriptor, False)
        os.set_blocking(self._ringing, False)

    def ring(self) -> None:
        """Make the descriptor readable."""
        with suppress(BlockingIOError):  # full: it rings already
            os.write(self._ringing, b"\0")

    def silence(self) -> None:
        """Make the descriptor unreadable again."""
        with suppress(BlockingIOError):
            os.read(self.descriptor, _MOST_BYTES)

    def close(self) -> None:
        """Close both ends."""
        os.close(self.descriptor)
        os.close(self._ringing)
