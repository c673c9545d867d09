"""Is what stands in a file the payload that is put? The header says so, or all bytes where there is no checksum."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from psk.wire.layout import FIXED_SIZE, FLAGS_OFFSET, HAS_CHECKSUM

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.frames import Buffer

HEADER_BYTES: Final = FIXED_SIZE
"""The fixed part of a payload's header: id, sizes, revision and, where there is one, the checksum (docs/wire.md)."""

_STEP_BYTES: Final = 1024 * 1024


def holds(descriptor: int, buffers: Sequence[Buffer]) -> bool:
    """Tell whether an open file begins with a payload.

    Args:
        descriptor: The file.
        buffers: The payload, back to back; the first begins with its header.
    """
    header = bytes(buffers[0][:HEADER_BYTES])
    if os.pread(descriptor, HEADER_BYTES, 0) != header:
        return False
    if header[FLAGS_OFFSET] & HAS_CHECKSUM:
        return True
    offset = 0
    for buffer in buffers:
        view = memoryview(buffer)
        for start in range(0, len(view), _STEP_BYTES):
            part = view[start : start + _STEP_BYTES]
            if part != os.pread(descriptor, len(part), offset):
                return False
            offset += len(part)
    return True
