"""Lay out, parse and verify payloads: header block and frames of an object, its random id, memory to receive into."""

from __future__ import annotations

import mmap
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING
from zlib import crc32

from psk.errors import PayloadError, SerializationError
from psk.fork import after_fork_in_child
from psk.plugins.importing import on_demand
from psk.wire.header import (
    CHUNK_BYTES,
    CRC_OFFSET,
    EXPIRES,
    FIXED_SIZE,
    HAS_CHECKSUM,
    MAC_SIZE,
    MAXIMUM_FRAMES,
    READ_ONLY,
    ZEROS,
    Header,
    byte_view,
    count_chunks,
    damaged,
    lay_out,
    measure,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.wire.chunks import Span
    from psk.wire.codec import Buffer, Frame
    from psk.wire.signing import SigningKey

_MAC_CONTEXT = b"psk payload 1\0"
_ID_SIZE = 16
_ID_BATCH = 256
# Below, malloc is faster than a mapping; above, a mapping is returned to the system when its last view goes.
_MAPPED_FROM = 64 * 1024
# Below, a huge page would mostly be waste; above, it saves most of the page faults.
_HUGE_FROM = 2 * 1024 * 1024
_PRIVATE = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
_HUGE_PAGES = getattr(mmap, "MADV_HUGEPAGE", None)

_unused_ids: list[bytes] = []
_take_id = _unused_ids.pop


def new_object_id() -> bytes:
    """Return 16 random bytes that were never returned before, in this or any other process.

    They come from the kernel's generator, many at a time; a forked child never uses those that its parent has left.
    """
    try:
        return _take_id()  # one atomic step: no two threads get the same
    except IndexError:
        return _refill_ids()


def _refill_ids() -> bytes:
    while True:
        process = os.getpid()
        random = os.urandom(_ID_SIZE * _ID_BATCH)
        fresh = [random[start : start + _ID_SIZE] for start in range(0, len(random), _ID_SIZE)]
        mine = fresh.pop()
        _unused_ids.extend(fresh)
        if process == os.getpid():  # not forked in between, by a signal handler or a finaliser
            return mine
        _unused_ids.clear()


@after_fork_in_child
def _forget_ids() -> None:
    _unused_ids.clear()


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


def _private_copy(view: memoryview) -> memoryview:
    """Return a writable copy of a byte view, in memory of its own."""
    copy = allocate(view.nbytes)
    copy[:] = view
    return copy


class Frames:
    """Hold what a connector read, as it arrived.

    A read-only buffer is shared, so decoding copies a frame that must be writable. A writable buffer belongs to the
    receiver, and decoding uses it in place.

    Args:
        buffers: Either one buffer with the whole payload, or the header block followed by one buffer for each
            frame, of exactly the frame's length, without padding.
        sums: CRC-32 of each chunk that arrived (docs/wire.md), 4 bytes each, if the connector computed them while it
            received; saves one pass over the bytes of a large payload.
    """

    __slots__ = ("buffers", "sums")

    def __init__(self, buffers: Sequence[Buffer], sums: bytes | None = None) -> None:
        self.buffers = buffers
        self.sums = sums

    @property
    def nbytes(self) -> int:
        """Number of bytes held. Padding between frames is not counted where each frame has its own buffer."""
        return sum(buffer.nbytes if type(buffer) is memoryview else len(buffer) for buffer in self.buffers)

    def __repr__(self) -> str:
        return f"Frames({len(self.buffers)} buffers, {self.nbytes} bytes)"


class Payload(Header):
    """Hold one encoded object: made by `build` from frames, or by `parse` from what a channel returned.

    Its attributes are those of its header block; see `Header`.
    """

    __slots__ = ("_draft", "_found", "_frames", "_received", "_whole")

    _draft: tuple[bytes, int] | None  # header block without sums, and where they belong, until they are known
    _frames: Sequence[Buffer | list[Buffer]]
    _found: bytes | None  # the sums of what arrived
    _received: bool  # False in a payload built here: its frames are the producer's own memory
    _whole: bytes | memoryview | None

    @classmethod
    def build(
        cls,
        codec: str,
        frames: Sequence[Frame],
        *,
        object_id: bytes | None = None,
        revision: int = 0,
        checksum: bool = True,
        expires: bool = False,
        signing_key: SigningKey | None = None,
    ) -> Payload:
        """Lay frames out as a payload without copying them.

        Args:
            codec: Name of the codec that decodes these frames.
            frames: Buffers, or lists of segments that are written back to back. A frame that is read-only
                here, and every frame made of segments, is read-only when it is decoded.
            object_id: 16 bytes; a new id if None.
            revision: 0 for a new object; an update counts up.
            checksum: Whether to compute a CRC-32, at the price of one pass over the bytes.
            expires: Whether the object will have a time to live.
            signing_key: Key to sign with; None leaves the payload unsigned.

        Raises:
            SerializationError: Name, id, revision or frames do not fit the format.
        """
        if object_id is None:
            object_id = new_object_id()
        elif type(object_id) is not bytes or len(object_id) != _ID_SIZE:
            raise SerializationError(
                f"an object id is {_ID_SIZE} bytes",
                found=[f"{object_id!r:.64}"],
                remedy="use new_object_id()",
            )
        flags = (HAS_CHECKSUM if checksum else 0) | (EXPIRES if expires else 0)
        kept: list[Buffer | list[Buffer]]
        table: Sequence[int]
        if len(frames) == 1 and type(only := frames[0]) is bytes:  # most payloads need no loop
            kept, table = [only], (len(only) | READ_ONLY,)
        else:
            kept, table = _keep_frames(frames)
        count = len(table)
        try:
            sizes, length = measure(table)
            chunks = count_chunks(sizes) if checksum and length > CHUNK_BYTES else 0
            signer = signing_key.name if signing_key else ""
            layout, start, codec_name, key_name = lay_out(codec, flags, signer, count, chunks)
            nbytes = layout.size + length
            block = layout.fields.pack(
                start, object_id, nbytes, count, revision, chunks, 0, codec_name, key_name, *table, b"", b"", b""
            )
        except (PayloadError, struct.error) as error:
            raise SerializationError(
                f"a payload cannot hold {count} frames at revision {revision!r:.64}",
                remedy=f"use at most {MAXIMUM_FRAMES} frames and a revision below 2**32",
            ) from error
        self = _new(cls)
        self.object_id = object_id
        self.key = object_id.hex()
        self.codec = codec
        self.frame_sizes = sizes
        self.nbytes = nbytes
        self._draft = self._found = self._whole = None
        self.expires = expires
        self.signed_by = ""
        self.revision = revision
        self._frames = kept
        self._received = False
        self._table = table
        if chunks:
            self._draft = block, layout.sums_offset
            if signing_key is None:
                return self  # summed while it is written, or when that is needed
            self.sums = self._sum()
            block = _inserted(block, layout.sums_offset, self.sums)
            self._draft = None
        else:
            self.sums = b""
        self._block = block
        self.checksum = None
        if signing_key is not None:
            self._sign(layout.mac_offset, signing_key)
        if checksum:
            self._add_checksum(self._block, () if chunks else _body_buffers(kept, sizes))
        return self

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> object:
            """Fill the slots that are empty until the chunks of a payload are summed."""
            if name not in {"_block", "checksum", "sums"}:
                raise AttributeError(name)
            if self._draft is not None:
                self._add_sums(self._sum())
            return object.__getattribute__(self, name)

    @classmethod
    def parse(cls, source: Frames | Buffer) -> Payload:
        """Read a payload's structure; nothing is decoded, and nothing allocated because of a claimed size.

        Args:
            source: What a connector returned, or one buffer with the whole payload.

        Raises:
            PayloadError: The bytes are truncated, damaged, foreign, or of a newer version of the format.
        """
        self = _new(cls)
        if isinstance(source, Frames):
            buffers: Sequence[Buffer] = source.buffers
            self._found = source.sums
        else:
            buffers = (source,)
            self._found = None
        self._draft = None
        whole = self._read_block(buffers[0] if buffers else b"")
        size = len(self._block)
        if len(buffers) == 1:
            self._whole = whole
            if len(whole) != self.nbytes:
                raise damaged(f"{len(whole)} bytes, and its header claims {self.nbytes}")
            self._frames = _split_body(memoryview(whole), size, self.frame_sizes)
        else:
            self._whole = None
            self._frames = _match_body(buffers, self.frame_sizes)
            if len(whole) != size:
                raise damaged(f"a header block of {len(whole)} bytes instead of {size}")
        self._received = True
        return self

    @property
    def received(self) -> Frames:
        """The payload as buffers that `parse` accepts; a copy only if it was built here and not received."""
        if self._whole is not None:
            return Frames([self._whole], self._found)
        if not self._received:
            return Frames([self.tobytes()])  # without sums: this memory may have changed since
        return Frames([self._block, *self._frames], self._found)  # type: ignore[list-item]  # no segments in it

    def buffers(self) -> list[Buffer]:
        """Return what to write, in order, padding included: views of the object's memory, `nbytes` in all."""
        if self._whole is not None:
            return [self._whole]
        return [self._block, *_body_buffers(self._frames, self.frame_sizes)]

    def write_to(self, write: Callable[[Sequence[Buffer], int], object]) -> None:
        """Write the payload in parts, in any order, by several threads if it is large; the header block last.

        A payload that is not summed yet is summed on the way, while each part is in the processor's cache.

        Args:
            write: Called with buffers that follow each other, and where in the payload they begin.

        Raises:
            Exception: What `write` raised first; no thread calls it any more.
        """
        with on_demand:
            from psk.parallel import for_each  # only for large payloads
            from psk.wire.chunks import divide

        def write_span(span: Span) -> None:
            write(span.buffers, span.offset)

        if self._draft is not None:
            self._add_sums(self._sum(write_span))
        else:
            for_each(write_span, divide(len(self._block), self._frames), self.nbytes)
        write([self._block], 0)

    @property
    def parts(self) -> list[Buffer | list[Buffer]]:
        """The header block, then each frame: one buffer, or a list of segments; without padding."""
        return [self._block, *self._frames]

    def tobytes(self) -> bytes:
        """Return the payload as one bytes object, a copy."""
        return b"".join(self.buffers())

    def frame_views(self, *, private: bool = False) -> list[memoryview]:
        """Return one view per frame.

        A view is read-only where the producer's memory was, where the received buffer is shared, and always
        in a payload that was built here and not received.

        Args:
            private: Whether a frame that was writable in the producer, but is shared here, is copied, so that
                every such view is writable.
        """
        views = []
        for frame, entry in zip(self._frames, self._table):  # noqa: B905  # equal by construction, and a hot path
            view = frame
            if type(view) is not memoryview:
                view = memoryview(b"".join(frame) if type(frame) is list else frame)  # type: ignore[arg-type]  # narrowed
            if not view.readonly and (entry >= READ_ONLY or not self._received):
                view = view.toreadonly()
            if private and entry < READ_ONLY and view.readonly:
                view = _private_copy(view)
            views.append(view)
        return views

    def verify(self) -> None:
        """Check the checksum, if the payload carries one.

        Raises:
            PayloadError: Some byte is not what was written.
        """
        if self.checksum is None:
            return
        block = self._block
        if self.sums:
            if self._found is None:
                self._found = self._sum()
            crc = crc32(block[FIXED_SIZE:])
        elif self._whole is not None:
            crc = crc32(memoryview(self._whole)[FIXED_SIZE:])
        else:
            crc = _crc_of(block[FIXED_SIZE:], _body_buffers(self._frames, self.frame_sizes))
        if crc32(block[:CRC_OFFSET], crc) != self.checksum or (self.sums and self._found != self.sums):
            raise PayloadError(
                f"payload {self.key} is damaged: its checksum does not match",
                found=[f"{self.nbytes} bytes"],
                remedy="the channel returned other bytes than were put; put the object again",
            )

    def verify_signature(self, key: SigningKey) -> None:
        """Check that the holder of a key signed exactly these bytes.

        Raises:
            UnsignedError: The payload carries no signature.
            SignatureError: Another key signed it, or it was changed since.
        """
        block = self._block
        offset = FIXED_SIZE + len(self.codec) + len(self.signed_by) + 8 * len(self.frame_sizes) + len(self.sums)
        end = offset + MAC_SIZE
        unsigned = block[:CRC_OFFSET] + ZEROS[4] + block[FIXED_SIZE:offset] + ZEROS[MAC_SIZE] + block[end:]
        parts = self._signed_parts(unsigned)
        key.verify(f"payload {self.key}", self.signed_by, block[offset:end], MAC_SIZE, parts)

    def _sign(self, offset: int, key: SigningKey) -> None:
        mac = key.authenticate(self._signed_parts(self._block))
        self._block = _inserted(self._block, offset, mac)
        self.signed_by = key.name

    def _signed_parts(self, block: bytes) -> tuple[Buffer, ...]:
        return (_MAC_CONTEXT, block, *_body_buffers(self._frames, self.frame_sizes))

    def _sum(self, each: Callable[[Span], object] | None = None) -> bytes:
        """Return the sums of all chunks; `each` as of `sum_chunks`."""
        with on_demand:
            from psk.wire.chunks import divide, sum_chunks  # only for large payloads

        draft = self._draft  # read once: another thread may be done with it
        start = len(self._block if draft is None else draft[0])
        return sum_chunks(divide(start, self._frames), each)

    def _add_sums(self, sums: bytes) -> None:
        draft = self._draft
        if draft is not None:  # else another thread has just done so
            block, offset = draft
            self.sums = sums
            self._add_checksum(_inserted(block, offset, sums), ())
            self._draft = None

    def _add_checksum(self, block: bytes, body: Sequence[Buffer]) -> None:
        start, rest = block[:CRC_OFFSET], block[FIXED_SIZE:]
        self.checksum = crc = crc32(start, _crc_of(rest, body))
        self._block = start + crc.to_bytes(4, "little") + rest


_new = object.__new__
_SEGMENTED = (list, tuple)


def _keep_frames(frames: Sequence[Frame]) -> tuple[list[Buffer | list[Buffer]], list[int]]:
    """Return frames as buffers of bytes, and their entries in the frame table: size and read-only bit."""
    kept: list[Buffer | list[Buffer]] = []
    table: list[int] = []
    frame: Frame = b""
    try:
        for frame in frames:
            if type(frame) is bytes:
                kept.append(frame)
                table.append(len(frame) | READ_ONLY)
            elif isinstance(frame, _SEGMENTED):
                segments: list[Buffer] = [part if type(part) is bytes else _held(part) for part in frame]
                kept.append(segments)
                table.append(sum(map(len, segments)) | READ_ONLY)
            else:
                view = _held(frame)
                kept.append(view)
                table.append(len(view) | READ_ONLY if view.readonly else len(view))
    except (TypeError, ValueError, BufferError) as error:
        raise SerializationError(
            f"a codec returned a frame of type {type(frame).__name__}: {error}",
            remedy="return contiguous buffers, or lists of them",
        ) from error
    return kept, table


def _held(buffer: object) -> memoryview:
    """Return a view that keeps memory at its length for as long as it lives, whatever the memory's owner does."""
    return byte_view(memoryview(buffer))  # type: ignore[arg-type]  # a view of our own, as the caller may release his


def _body_buffers(frames: Sequence[Buffer | list[Buffer]], sizes: Sequence[int]) -> list[Buffer]:
    """Return what follows the header block, in order, with the padding between frames."""
    if len(sizes) == 1:
        frame = frames[0]
        return frame if type(frame) is list else [frame]  # type: ignore[list-item]  # not a list, so one buffer
    body: list[Buffer] = []
    before = 0
    for frame, size in zip(frames, sizes, strict=True):
        if before & 63:
            body.append(ZEROS[-before & 63])
        if type(frame) is list:
            body += frame
        else:
            body.append(frame)  # type: ignore[arg-type]  # mypy does not narrow on `type(...) is list`
        before = size
    return body


def _inserted(block: bytes, offset: int, field: bytes) -> bytes:
    """Return a header block with other bytes in the place of some."""
    return b"".join((block[:offset], field, block[offset + len(field) :]))


def _crc_of(rest: bytes, body: Sequence[Buffer]) -> int:
    """Return the CRC-32 over a header block from byte 48 on, continued over what follows it."""
    crc = crc32(rest)
    for buffer in body:
        crc = crc32(buffer, crc)
    return crc


def _split_body(whole: memoryview, start: int, sizes: Sequence[int]) -> list[memoryview]:
    """Return the frames that lie in one buffer with the whole payload, behind a header block of `start` bytes."""
    if len(sizes) == 1:  # as in most payloads
        return [whole[start:]]
    frames = []
    end = start
    for size in sizes:
        begin = end + 63 & -64
        if begin != end and whole[end:begin] != ZEROS[begin - end]:
            raise damaged("bytes between its frames that are not zero")
        end = begin + size
        frames.append(whole[begin:end])
    return frames


def _match_body(buffers: Sequence[object], sizes: Sequence[int]) -> list[bytes | memoryview]:
    """Return the frames that were received one buffer each, behind one with the header block."""
    if len(buffers) == 2 and type(only := buffers[1]) is bytes and sizes == (len(only),):  # noqa: PLR2004  # a hot path
        return [only]
    if len(buffers) != len(sizes) + 1:
        raise damaged(f"{len(buffers) - 1} frames instead of {len(sizes)}")
    try:
        frames = [buffer if type(buffer) is bytes else byte_view(buffer) for buffer in buffers[1:]]
    except (TypeError, ValueError, BufferError) as error:
        raise PayloadError(f"a frame of the payload is not a buffer of bytes: {error}") from error
    for frame, size in zip(frames, sizes):  # noqa: B905  # checked above
        if len(frame) != size:
            raise damaged(f"a frame of {len(frame)} bytes instead of {size}")
    return frames
