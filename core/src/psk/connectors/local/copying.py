"""How does a payload become memory that nobody can change? Copied once; what is immutable already is kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.wire import Frames, allocate

if TYPE_CHECKING:
    from psk.wire import Buffer, Payload

WHOLE_BYTES: Final = 64 * 1024
"""Below this one joined copy is quicker than a buffer per frame."""

MAPPED_BYTES: Final = 2 * 1024 * 1024
"""From here on huge pages make a copy several times faster than a new bytes object."""

ALIGNMENT: Final = 64


def copy_in(payload: Payload) -> Frames:
    """Return a payload's bytes as read-only buffers: one, or the header block and one for each frame."""
    if payload.nbytes < WHOLE_BYTES:
        return Frames((b"".join(payload.buffers()),))
    sizes = payload.frame_sizes
    body = 0
    for size in sizes:
        body = -(-body // ALIGNMENT) * ALIGNMENT + size
    pieces = _Pieces(payload.buffers())
    copies: list[Buffer] = [_frozen(pieces.take(payload.nbytes - body), payload.nbytes - body)]
    end = 0
    for size in sizes:
        pieces.take(-end % ALIGNMENT)
        copies.append(_frozen(pieces.take(size), size))
        end = -(-end // ALIGNMENT) * ALIGNMENT + size
    return Frames(tuple(copies))


class _Pieces:
    """Hand out buffers in order, cut where asked."""

    __slots__ = ("_buffers", "_rest")

    def __init__(self, buffers: list[Buffer]) -> None:
        self._buffers = iter(buffers)
        self._rest: Buffer = b""

    def take(self, nbytes: int) -> list[Buffer]:
        """Return the next `nbytes` bytes as views."""
        taken: list[Buffer] = []
        while nbytes:
            if not self._rest:
                self._rest = next(self._buffers)
                continue
            length = len(self._rest)
            if length <= nbytes:
                taken.append(self._rest)
                self._rest = b""
            else:
                view = memoryview(self._rest)
                taken.append(view[:nbytes])
                self._rest = view[nbytes:]
                length = nbytes
            nbytes -= length
        return taken


def _frozen(pieces: list[Buffer], nbytes: int) -> Buffer:
    if len(pieces) == 1:
        piece = pieces[0]
        whole = piece.obj if isinstance(piece, memoryview) and piece.c_contiguous else piece
        # A bytes object never changes: sharing it is as good as a copy.
        if type(whole) is bytes and len(whole) == nbytes:
            return whole
    if nbytes < MAPPED_BYTES:
        return b"".join(pieces)
    memory = allocate(nbytes)
    start = 0
    for piece in pieces:
        end = start + len(piece)
        memory[start:end] = piece
        start = end
    return memory.toreadonly()
