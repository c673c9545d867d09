"""How is a payload's checksum computed for nothing? Over each part as it arrives, while it is still in the cache."""

from __future__ import annotations

from typing import Final
from zlib import crc32

from psk.connectors import HEADER_BYTES, has_checksum

STEP_BYTES: Final = 256 * 1024
"""How much must have arrived before it is summed: less would mean more calls, more would not stay in the cache."""


class Summing:
    """The sum of one payload, from behind the fixed part of its header on, as `Frames` wants it."""

    __slots__ = ("_done", "_is_wanted", "_sum")

    def __init__(self) -> None:
        self._done = HEADER_BYTES
        self._sum = 0
        self._is_wanted = True

    def reach(self, whole: memoryview, end: int) -> None:
        """Take note that a payload has arrived up to `end`, and perhaps sum some more of it.

        Args:
            whole: The payload's memory.
            end: How much of it has arrived; less than before if the rest is fetched again.
        """
        if end - self._done < STEP_BYTES and end < len(whole):
            return
        if self._done == HEADER_BYTES:
            self._is_wanted = has_checksum(whole)
        if self._is_wanted and end > self._done:
            self._sum = crc32(whole[self._done : end], self._sum)
            self._done = end

    def of(self, whole: bytes | memoryview) -> int | None:
        """Return the sum of a payload if all of it was summed."""
        return self._sum if self._is_wanted and self._done == len(whole) else None
