"""Map a file's memory so that using it costs next to nothing.

Huge pages must lie at multiples of 2 MiB, and Python's mmap cannot choose where. So room is reserved with Python's
mmap, which also owns and frees it, and the file is mapped over it, in huge pages where the kernel gives them.
Reading 100 MB for the first time then costs 0.5 ms of page faults instead of 9, and no descriptor stays open.
"""

from __future__ import annotations

import errno
import mmap
import os
from functools import cache
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import ctypes
    from collections.abc import Sequence

    from psk.wire import Buffer

HUGE_BYTES: Final = 2 * 1024 * 1024
PAGE_BYTES: Final = mmap.PAGESIZE

# From asm-generic/mman.h and mman-common.h; madvise(2) describes MADV_COLLAPSE (Linux 6.1).
_MAP_FIXED: Final = 0x10
_MAP_NORESERVE: Final = 0x4000
_MADV_COLLAPSE: Final = 25
_PROTECTION: Final = getattr(mmap, "PROT_READ", 1) | getattr(mmap, "PROT_WRITE", 2)
_SHARED: Final = getattr(mmap, "MAP_SHARED", 1)
_PRIVATE: Final = getattr(mmap, "MAP_PRIVATE", 2)
_ROOM: Final = _PRIVATE | getattr(mmap, "MAP_ANONYMOUS", 0x20) | _MAP_NORESERVE
_FAILED: Final = -1
_ALONE_BYTES: Final = 64 * 1024
"""Below, a copy is shorter than the call of a foreign function that lets other threads run."""


class Mapping:
    """Hold a mapped file; the memory goes with the last view of it.

    Args:
        descriptor: The open file; not needed any more after the return.
        nbytes: How much of it, from its start; no more than it has, or using the rest kills the process.
        shared: Whether writes reach the file (readable and writable descriptor) or stay in this process.

    Raises:
        OSError: No memory, no room for one more mapping, or (without ctypes) no descriptor left.
    """

    __slots__ = ("_memory", "_nbytes", "_offset", "view")

    def __init__(self, descriptor: int, nbytes: int, *, shared: bool) -> None:
        flags = _SHARED if shared else _PRIVATE
        library = _library()
        self._nbytes = nbytes
        self._offset = 0
        if library is None:
            self._memory = mmap.mmap(descriptor, nbytes, flags=flags, prot=_PROTECTION)
        else:
            room = nbytes + (HUGE_BYTES if nbytes >= HUGE_BYTES else 0)
            self._memory = mmap.mmap(-1, room, flags=_ROOM, prot=_PROTECTION)
            start = _address(self._memory)
            if nbytes >= HUGE_BYTES:
                self._offset = -start % HUGE_BYTES
            place = start + self._offset
            if library.mmap(place, nbytes, _PROTECTION, flags | _MAP_FIXED, descriptor, 0) == _FAILED:
                raise _last_error()
        self.view = memoryview(self._memory)[self._offset : self._offset + nbytes]

    def collapse(self, nbytes: int) -> None:
        """Have the first `nbytes` bytes, a multiple of 2 MiB, held in huge pages.

        MADV_COLLAPSE does so whatever the system's settings for shared memory say, also for pages that were never
        written, if each 2 MiB has one that was.

        Raises:
            OSError: The kernel has none left, or does not do that.
        """
        library = _library()
        if library is None:
            raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))
        if library.madvise(_address(self._memory) + self._offset, nbytes, _MADV_COLLAPSE):
            raise _last_error()

    def write(self, buffers: Sequence[Buffer], offset: int) -> None:
        """Copy buffers, back to back, to an offset; other threads run meanwhile."""
        library = _library()
        for buffer in buffers:
            size = len(buffer)
            if library is not None and size >= _ALONE_BYTES and (start := _start(buffer)) is not None:
                library.memmove(_address(self._memory) + self._offset + offset, start, size)
            else:
                self.view[offset : offset + size] = buffer
            offset += size

    def close(self) -> None:
        """Unmap it; BufferError if anything still uses its memory, which is then unmapped with the last use."""
        self.view.release()
        try:
            self._memory.close()
        except BufferError:
            self.view = memoryview(self._memory)[self._offset : self._offset + self._nbytes]
            raise


def _library() -> ctypes.CDLL | None:
    try:
        return _loaded_library()
    except (ImportError, OSError):  # a Python without libffi; or no descriptor to load it with, but perhaps next time
        return None


@cache
def _loaded_library() -> ctypes.CDLL:
    import ctypes

    library = ctypes.CDLL(None, use_errno=True)
    library.mmap.restype = ctypes.c_ssize_t
    library.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    library.madvise.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    library.memmove.restype = ctypes.c_void_p
    library.memmove.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]
    return library


# Now, and not at the first get: a process forked while another thread imports a module can never import it itself.
_library()


def _address(memory: mmap.mmap | Buffer) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(memory))


def _start(buffer: Buffer) -> int | None:
    """Return where a buffer's memory begins; None if it is read-only, on a Python that does not tell it then.

    By one call in C, which keeps no hold of the buffer: an interrupt between two could leave it locked for ever.
    """
    import ctypes

    if not memoryview(buffer).readonly:
        return _address(buffer)
    start, size = ctypes.c_void_p(), ctypes.c_ssize_t()
    try:
        ctypes.pythonapi.PyObject_AsReadBuffer(ctypes.py_object(buffer), ctypes.byref(start), ctypes.byref(size))
    except AttributeError:
        return None
    return start.value


def _last_error() -> OSError:
    import ctypes

    number = ctypes.get_errno()
    return OSError(number, os.strerror(number))
