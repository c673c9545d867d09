"""Is what stands under a name the payload that is put? The header says so, or all bytes where there is no checksum."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.wire.layout import FIXED_SIZE, FLAGS_OFFSET, HAS_CHECKSUM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.wire.frames import Buffer

HEADER_BYTES: Final = FIXED_SIZE
"""The fixed part of a payload's header: id, sizes, revision and, where there is one, the checksum (docs/wire.md)."""

_STEP_BYTES: Final = 1024 * 1024


def has_checksum(start: Buffer) -> bool:
    """Tell whether the payload that begins so carries a checksum."""
    return bool(start[FLAGS_OFFSET] & HAS_CHECKSUM)


def holds(buffers: Sequence[Buffer], read: Callable[[int, int], Buffer]) -> bool:
    """Tell whether what is stored begins with a payload; most are known by their header.

    Args:
        buffers: The payload, back to back; the first begins with its header.
        read: Returns so many stored bytes from so far on (`read(nbytes, offset)`, as `os.pread` without its
            file), fewer at the end.
    """
    header = bytes(buffers[0][:HEADER_BYTES])
    if read(HEADER_BYTES, 0) != header:
        return False
    if has_checksum(header):
        return True
    offset = 0
    for buffer in buffers:
        view = memoryview(buffer)
        for start in range(0, len(view), _STEP_BYTES):
            part = view[start : start + _STEP_BYTES]
            if part != read(len(part), offset):
                return False
            offset += len(part)
    return True
