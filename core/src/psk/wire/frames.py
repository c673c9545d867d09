"""What does a connector hand over after a read? The buffers it received, nothing in them interpreted."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Sequence

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Contiguous bytes. Anything else that has the buffer protocol is wrapped in a memoryview first."""

Frame: TypeAlias = "Buffer | Sequence[Buffer]"
"""One frame to write: one buffer, or segments that are written back to back."""


class Frames:
    """Hold what a connector read, as it arrived.

    A read-only buffer is shared: nobody may write it, so decoding copies a frame that must be writable.
    A writable buffer is private to the receiver: decoding uses it in place.

    Args:
        buffers: Either one buffer with the whole payload, or the header block followed by one buffer for each
            frame, of exactly the frame's length, without padding.
        crc: CRC-32 of the payload from its byte 48 to its end, padding included, if the connector computed
            it while it received; saves one pass over the bytes.
    """

    __slots__ = ("buffers", "crc")

    buffers: Sequence[Buffer]
    crc: int | None

    def __init__(self, buffers: Sequence[Buffer], crc: int | None = None) -> None:
        self.buffers = buffers
        self.crc = crc

    @property
    def nbytes(self) -> int:
        """Number of bytes held; padding between frames is not counted where buffers come one by one."""
        return sum(buffer.nbytes if type(buffer) is memoryview else len(buffer) for buffer in self.buffers)

    def __repr__(self) -> str:
        return f"Frames({len(self.buffers)} buffers, {self.nbytes} bytes)"


def byte_view(buffer: object) -> memoryview:
    """Return a one-dimensional view of bytes over any contiguous buffer.

    Raises:
        TypeError: It has no buffer, or is not contiguous in C order.
        ValueError: It was released.
    """
    view = buffer if type(buffer) is memoryview else memoryview(buffer)  # type: ignore[arg-type]  # checked here
    if view.ndim == 1 and view.format == "B" and view.c_contiguous:
        return view
    if not view.nbytes:  # memoryview.cast refuses a shape with a zero in it
        return memoryview(b"" if view.readonly else bytearray())
    return view.cast("B")
