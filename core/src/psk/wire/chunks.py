"""Divide payloads into chunks, and sum, write and receive these by several threads, as docs/wire.md defines them."""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, Final
from zlib import crc32

from psk.errors import PayloadError
from psk.parallel import for_each
from psk.wire.header import CHUNK_BYTES, HEADER_REACH, ZEROS, Header, block_size

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.wire.codec import Buffer

_SUM: Final = Struct("<I")
_MOST_BUFFERS: Final = 512


class Span:
    """Consecutive bytes of a payload, about as many as a chunk has: chunks, and the padding between them.

    Attributes:
        offset: Where it begins in the payload.
        nbytes: Its size.
        buffers: What it consists of.
        first: The number of its first chunk.
        chunks: The buffers of each of its chunks.
    """

    __slots__ = ("buffers", "chunks", "first", "nbytes", "offset")

    def __init__(self, offset: int, first: int) -> None:
        self.offset = offset
        self.nbytes = 0
        self.buffers: list[Buffer] = []
        self.first = first
        self.chunks: list[list[Buffer]] = []

    @property
    def end(self) -> int:
        """Where it ends in the payload."""
        return self.offset + self.nbytes

    def sum_into(self, sums: bytearray) -> None:
        """Write the CRC-32 of each chunk into the table of all."""
        for number, chunk in enumerate(self.chunks, self.first):
            crc = 0
            for buffer in chunk:
                crc = crc32(buffer, crc)
            _SUM.pack_into(sums, _SUM.size * number, crc)


def divide(start: int, frames: Sequence[Buffer | list[Buffer]]) -> list[Span]:
    """Divide what follows a header block of `start` bytes."""
    span = Span(start, 0)
    spans = [span]
    end = start
    number = 0
    for frame in frames:
        if end & 63:
            span.buffers.append(ZEROS[-end & 63])
            span.nbytes += -end & 63
            end += -end & 63
        for chunk in _chunks(frame):
            size = sum(map(len, chunk))
            if span.chunks and (span.nbytes + size > CHUNK_BYTES or len(span.buffers) > _MOST_BUFFERS):
                span = Span(end, number)
                spans.append(span)
            span.chunks.append(chunk)
            span.buffers += chunk
            span.nbytes += size
            end += size
            number += 1
    return spans


def _chunks(frame: Buffer | list[Buffer]) -> Iterator[list[Buffer]]:
    if type(frame) is not list and 0 < len(frame) <= CHUNK_BYTES:
        yield [frame]  # type: ignore[list-item]  # mypy does not narrow on `type(...) is not list`
        return
    chunk: list[Buffer] = []
    room = CHUNK_BYTES
    for segment in frame if type(frame) is list else [frame]:
        rest = memoryview(segment)  # type: ignore[arg-type]  # as above
        while rest:
            chunk.append(rest[:room])
            room -= len(chunk[-1])
            rest = rest[len(chunk[-1]) :]
            if not room:
                yield chunk
                chunk, room = [], CHUNK_BYTES
    if chunk:
        yield chunk


def table_of(spans: Sequence[Span]) -> bytearray:
    """Return an empty table for the chunks of a payload."""
    return bytearray(_SUM.size * (spans[-1].first + len(spans[-1].chunks)))


def sum_chunks(spans: Sequence[Span], each: Callable[[Span], object] | None = None) -> bytes:
    """Return the table of CRC-32 of all chunks.

    Args:
        spans: Of one payload.
        each: Called with each span just before its chunks are summed.
    """
    sums = table_of(spans)

    def work(span: Span) -> None:
        if each is not None:
            each(span)
        span.sum_into(sums)

    for_each(work, spans, spans[-1].end)
    return bytes(sums)


def receive(whole: memoryview, read: Callable[[memoryview, int], object]) -> bytes | None:
    """Fill memory with a payload, in parts and by several threads if it is large, and sum its chunks on the way.

    Args:
        whole: Memory of the payload's size.
        read: Called with a part of the memory, to be filled to its end, and where in the payload that begins.

    Returns:
        The checksums of the chunks, for `Frames`; None if the payload has none.

    Raises:
        Exception: What `read` raised first; no thread calls it any more.
    """
    head = whole[:HEADER_REACH]
    read(head, 0)
    try:
        size = block_size(head)
        if size > len(head):
            read(whole[len(head) : size], len(head))
        spans = spans_of(whole[:size], whole)
    except PayloadError:  # which parsing raises again, about all of it
        size, spans = len(head), []

    def read_span(span: Span) -> None:
        read(whole[span.offset : span.end], span.offset)

    if spans:
        return sum_chunks(spans, read_span)
    for_each(read_span, divide(size, [whole[size:]]), len(whole))
    return None


def spans_of(block: memoryview, whole: memoryview) -> list[Span]:
    """Return the spans of a payload that lies, or will lie, in one buffer; none if its chunks have no checksums.

    Args:
        block: At least its header block.
        whole: Memory of the payload's size, of which no content is read.

    Raises:
        PayloadError: The header block is damaged.
    """
    header = Header.read(block)
    if header.nbytes != len(whole) or not header.sums:
        return []
    ranges = header.frame_ranges()
    return divide(ranges[0][0], [whole[begin:end] for begin, end in ranges])
