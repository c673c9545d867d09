"""Compare a stored payload with one that is being put, mostly by the header alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.wire import FIXED_SIZE, FLAGS_OFFSET, HAS_CHECKSUM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.wire import Buffer

HEADER_BYTES: Final = FIXED_SIZE
"""Size of the fixed part of a payload's header: id, sizes, revision and, if present, the checksum (docs/wire.md)."""

_STEP_BYTES: Final = 1024 * 1024


def has_checksum(start: Buffer) -> bool:
    """Tell whether the payload that begins with these bytes, at least `HEADER_BYTES`, carries a checksum."""
    return bool(start[FLAGS_OFFSET] & HAS_CHECKSUM)


def is_same_payload(buffers: Sequence[Buffer], read: Callable[[int, int], Buffer]) -> bool:
    """Tell whether a stored payload equals the one being put.

    Payloads with a checksum are equal if their headers are; of others all bytes are compared.

    Args:
        buffers: The payload being put, back to back; the first begins with its header.
        read: Returns stored bytes, `read(nbytes, offset)` as `os.pread` without its file; fewer at the end.
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
