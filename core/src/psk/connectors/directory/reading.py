"""Read an open file into private memory, a large one by several threads that sum what they read."""

from __future__ import annotations

import os
from typing import Final

from psk.connectors.arguments import expired
from psk.errors import PayloadError
from psk.plugins.importing import on_demand
from psk.wire import Frames, allocate

PARALLEL_BYTES: Final = 4 * 1024 * 1024
"""From here on several threads read and sum: 100 MB take half as long with two."""


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

    def read(part: memoryview, offset: int) -> None:
        expired(deadline, f"reading {key}")
        _read_into(descriptor, part, offset, key)

    whole = allocate(size)
    if size < PARALLEL_BYTES:
        read(whole, 0)
        return Frames((whole,))
    with on_demand:
        from psk.wire.chunks import receive  # only for large objects

    return Frames((whole,), receive(whole, read))


def read_range(descriptor: int, size: int, offset: int, length: int, key: str) -> memoryview:
    """Read up to `length` bytes of a file of `size` bytes, fewer at its end; errors as of `read_frames`."""
    view = allocate(max(min(length, size - offset), 0))
    _read_into(descriptor, view, offset, key)
    return view


def _read_into(descriptor: int, view: memoryview, offset: int, key: str) -> None:
    """Fill a view from an offset of the file on."""
    arrived = 0
    while arrived < view.nbytes:
        count = os.preadv(descriptor, (view[arrived:],), offset + arrived)
        if not count:
            raise PayloadError(
                f"object {key} was cut off while it was read",
                found=[f"{offset + arrived} bytes where there had been at least {offset + view.nbytes}"],
                remedy="objects are never changed in place: find out what else writes in the directory",
            )
        arrived += count
