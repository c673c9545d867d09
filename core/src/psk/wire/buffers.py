"""Name the types of buffers that connectors read and write, and allocate memory to receive into."""

from __future__ import annotations

import mmap
from contextlib import suppress
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Contiguous bytes. Anything else that has the buffer protocol is wrapped in a memoryview first."""

Frame: TypeAlias = "Buffer | Sequence[Buffer]"
"""One frame to write: one buffer, or segments that are written back to back."""

# Below, malloc is faster than a mapping; above, a mapping is returned to the system when its last view goes.
_MAPPED_FROM = 64 * 1024
# Below, a huge page would mostly be waste; above, it saves most of the page faults.
_HUGE_FROM = 2 * 1024 * 1024
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_HUGE_PAGES = getattr(mmap, "MADV_HUGEPAGE", None)


def allocate(nbytes: int) -> memoryview:
    """Return private, writable memory, filled with zeros.

    Args:
        nbytes: Size in bytes, 0 or more.

    Returns:
        A view of `nbytes` bytes; the memory lives as long as the view or anything made from it.

    Raises:
        MemoryError: The system does not have that much memory.
    """
    if nbytes < _MAPPED_FROM:
        return memoryview(bytearray(nbytes))
    if not _PRIVATE:  # on Windows, an anonymous mapping is private to the process
        return memoryview(mmap.mmap(-1, nbytes))
    try:
        memory = mmap.mmap(-1, nbytes, flags=_PRIVATE)
    except OSError as error:
        raise MemoryError(f"no memory for {nbytes} bytes") from error
    if _HUGE_PAGES is not None and nbytes >= _HUGE_FROM:
        with suppress(OSError):  # a kernel without huge pages: slower, not wrong
            memory.madvise(_HUGE_PAGES)
    return memoryview(memory)


def private_copy(view: memoryview) -> memoryview:
    """Return a writable copy of a byte view, in memory of its own."""
    copy = allocate(view.nbytes)
    copy[:] = view
    return copy
