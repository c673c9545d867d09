"""Read an open file into private memory, and sum many bytes while they arrive."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Final
from zlib import crc32

from psk.connectors.arguments import expired
from psk.errors import PayloadError
from psk.wire import FIXED_SIZE, FLAGS_OFFSET, HAS_CHECKSUM, Frames, allocate

if TYPE_CHECKING:
    from _queue import SimpleQueue

PIPELINE_BYTES: Final = 4 * 1024 * 1024
"""From here on a second thread sums what has arrived while more is read: 100 MB take 25 ms instead of 41."""

STEP_BYTES: Final = 1024 * 1024


def read_frames(descriptor: int, size: int, key: str, deadline: float) -> Frames:
    """Read a whole file.

    Args:
        descriptor: The open file.
        size: Its size, as fstat said.
        key: Its name, for messages.
        deadline: When to give up, by `time.monotonic`.

    Raises:
        PayloadError: It has become shorter.
        DeadlineError: Time was up.
    """
    view = allocate(size)
    arrived = _read_into(descriptor, view[:STEP_BYTES], 0, key)
    summing = None
    if size >= PIPELINE_BYTES and view[FLAGS_OFFSET] & HAS_CHECKSUM:
        summing = _Summing(view)
        summing.reach(arrived)
    try:
        while arrived < size:
            expired(deadline, f"reading {key}")
            end = min(arrived + STEP_BYTES, size)
            arrived = _read_into(descriptor, view[:end], arrived, key)
            if summing is not None:
                summing.reach(arrived)
    finally:
        crc = summing.finish() if summing is not None else None
    return Frames((view,), crc)


def read_range(descriptor: int, size: int, offset: int, length: int, key: str) -> memoryview:
    """Read up to `length` bytes of a file of `size` bytes, fewer at its end; errors as of `read_frames`."""
    view = allocate(max(min(length, size - offset), 0))
    _read_into(descriptor, view, 0, key, offset)
    return view


def _read_into(descriptor: int, view: memoryview, arrived: int, key: str, offset: int = 0) -> int:
    """Fill a view, of which some bytes have arrived, from an offset of the file on; return how many have then."""
    while arrived < view.nbytes:
        count = os.preadv(descriptor, (view[arrived:],), offset + arrived)
        if not count:
            raise PayloadError(
                f"object {key} was cut off while it was read",
                found=[f"{offset + arrived} bytes where there had been at least {offset + view.nbytes}"],
                remedy="objects are never changed in place: find out what else writes in the directory",
            )
        arrived += count
    return arrived


class _Summing:
    """Compute the checksum in a thread of its own, behind the reader."""

    __slots__ = ("_crc", "_ends", "_thread", "_view")

    def __init__(self, view: memoryview) -> None:
        from _queue import SimpleQueue

        self._view = view
        self._crc = 0
        self._ends: SimpleQueue[int] = SimpleQueue()
        self._thread: threading.Thread | None = threading.Thread(target=self._run, name="psk-checksum", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:  # no thread is available: the checksum is computed when it is verified
            self._thread = None

    def reach(self, end: int) -> None:
        """Tell that the bytes up to `end` have arrived."""
        self._ends.put(end)

    def finish(self) -> int | None:
        """Return the checksum of what has arrived."""
        if self._thread is None:
            return None
        self._ends.put(-1)
        self._thread.join()
        return self._crc

    def _run(self) -> None:
        start = FIXED_SIZE  # the checksum covers the payload from here on first (docs/wire.md)
        while (end := self._ends.get()) >= 0:
            self._crc = crc32(self._view[start:end], self._crc)
            start = end
