"""How can one received payload serve many resolves, none of which sees another's changes?"""

from __future__ import annotations

import mmap
import os
from typing import TYPE_CHECKING

from psk.wire import Frames, Payload, allocate

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Below this size a copy is cheaper than mapping memory.
COPY_BELOW = 64 * 1024


class Pristine:
    """A payload kept as it arrived: each `payload()` is decoded over memory of its own.

    Read-only buffers are kept as they are (decoding copies what must be writable); small writable ones are copied;
    large ones move to an anonymous file, which each use maps copy-on-write: memory is spent on what a user changes.
    """

    __slots__ = ("_descriptor", "_frames", "nbytes")

    def __init__(self, payload: Payload) -> None:
        self.nbytes = payload.nbytes
        self._descriptor = -1
        self._frames: Frames | None = None
        buffers = [memoryview(buffer) for buffer in payload.buffers()]
        if all(buffer.readonly for buffer in buffers):
            self._frames = payload.received
        elif self.nbytes < COPY_BELOW or not self._move(buffers):
            self._frames = Frames([b"".join(buffers)])

    def _move(self, buffers: Sequence[memoryview]) -> bool:
        """Write the payload to an anonymous file; tell whether this system has them and descriptors are left."""
        if not hasattr(os, "memfd_create"):
            return False
        try:
            self._descriptor = os.memfd_create("psk")
            for buffer in buffers:
                rest = buffer.cast("B")
                while rest.nbytes:
                    rest = rest[os.write(self._descriptor, rest) :]
        except OSError:
            return False
        return True

    def payload(self) -> Payload:
        """Give the payload over memory that nobody else writes to."""
        if self._frames is not None:
            return Payload.parse(self._frames)
        try:
            # The mapping keeps a descriptor of its own, so the pages outlive this object.
            private = mmap.mmap(self._descriptor, self.nbytes, flags=mmap.MAP_PRIVATE)
        except OSError:  # out of descriptors or mappings: spend memory instead
            return Payload.parse(Frames([self._copy()]))
        return Payload.parse(Frames([memoryview(private)]))

    def _copy(self) -> memoryview:
        memory = allocate(self.nbytes)
        done = 0
        while done < self.nbytes:  # one call moves 2 GiB at most
            done += os.preadv(self._descriptor, [memory[done:]], done)
        return memory

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:  # it may never have been finished
            os.close(self._descriptor)
