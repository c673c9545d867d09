"""What is one object as it travels? A header block and frames, checked before anybody looks inside."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from psk.errors import PayloadError, SerializationError, SignatureError, UnsignedError
from psk.wire.body import body_buffers, keep_frames, match_body, split_body
from psk.wire.frames import Frames
from psk.wire.header import Header
from psk.wire.layout import (
    CRC,
    CRC_OFFSET,
    EXPIRES,
    FIXED_SIZE,
    HAS_CHECKSUM,
    HAS_MAC,
    MAC_SIZE,
    MAGIC,
    MAXIMUM_FRAMES,
    READ_ONLY,
    SIZE_MASK,
    VERSION,
    ZEROS,
    find_layout,
)
from psk.wire.memory import private_copy
from psk.wire.object_id import OBJECT_ID_SIZE, new_object_id

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.frames import Buffer, Frame
    from psk.wire.signing import SigningKey

_MAC_CONTEXT = b"psk payload 1\0"


class Payload(Header):
    """Hold one encoded object: made by `build` from frames, or by `parse` from what a channel returned.

    Its attributes are those of its header block; see `Header`.
    """

    __slots__ = ("_body_crc", "_frames", "_received", "_whole")

    _frames: Sequence[Buffer | list[Buffer]]
    _received: bool  # False in a payload built here: its frames are the producer's own memory
    _whole: bytes | memoryview | None
    _body_crc: int | None

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
        elif type(object_id) is not bytes or len(object_id) != OBJECT_ID_SIZE:
            raise SerializationError(
                f"an object id is {OBJECT_ID_SIZE} bytes",
                found=[f"{object_id!r:.64}"],
                remedy="use new_object_id()",
            )
        count = len(frames)
        if count > MAXIMUM_FRAMES or not (isinstance(revision, int) and 0 <= revision < 1 << 32):
            raise SerializationError(
                f"no payload can hold {count} frames at revision {revision!r:.64}",
                remedy=f"use at most {MAXIMUM_FRAMES} frames and a revision below 2**32",
            )
        layout = find_layout(codec, count, "" if signing_key is None else signing_key.name)
        kept: list[Buffer | list[Buffer]]
        if count == 1 and type(only := frames[0]) is bytes:  # most payloads: spare them the loop
            kept = [only]
            sizes: tuple[int, ...] = (len(only),)
            table: Sequence[int] = (sizes[0] | READ_ONLY,)
        else:
            kept, table = keep_frames(frames)
            sizes = tuple([entry & SIZE_MASK for entry in table])
        end = layout.size
        for size in sizes:
            end = (end + 63 & -64) + size
        flags = HAS_CHECKSUM if checksum else 0
        if expires:
            flags |= EXPIRES
        if signing_key is not None:
            flags |= HAS_MAC
        self = _new(cls)
        self.object_id = object_id
        self.codec = codec
        self.frame_sizes = sizes
        self.nbytes = end
        self.checksum = self._body_crc = self._whole = None
        self.expires = expires
        self.signed_by = ""
        self.revision = revision
        self._frames = kept
        self._received = False
        self._table = table
        self._block = layout.pack(
            MAGIC,
            VERSION,
            flags,
            len(layout.codec),
            len(layout.key_name),
            object_id,
            end,
            count,
            revision,
            0,
            0,
            layout.codec,
            layout.key_name,
            *table,
            layout.mac,
        )
        if signing_key is not None:
            self._sign(layout.mac_offset, signing_key)
        if checksum:
            self._add_checksum()
        return self

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
            self._body_crc = source.crc
        else:
            buffers = (source,)
            self._body_crc = None
        whole = self._read_block(buffers[0] if buffers else b"")
        if len(buffers) == 1:
            self._frames = split_body(whole, len(self._block), self.frame_sizes, self.nbytes)
            self._whole = whole
        else:
            self._frames = match_body(whole, buffers, len(self._block), self.frame_sizes, self.nbytes)
            self._whole = None
        self._received = True
        return self

    @property
    def received(self) -> Frames:
        """The payload as buffers that `parse` accepts; a copy only if it was built here and not received."""
        if self._whole is not None:
            return Frames([self._whole], self._body_crc)
        if not self._received:
            return Frames([self.tobytes()])  # the sum is that of memory which may have changed since
        return Frames([self._block, *self._frames], self._body_crc)  # type: ignore[list-item]  # no segments in it

    def buffers(self) -> list[Buffer]:
        """Return what to write, in order, padding included: views of the object's memory, `nbytes` in all."""
        if self._whole is not None:
            return [self._whole]
        return [self._block, *body_buffers(self._frames, self.frame_sizes)]

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
                view = private_copy(view)
            views.append(view)
        return views

    def verify(self) -> None:
        """Check the checksum, if the payload carries one.

        Raises:
            PayloadError: Some byte is not what was written.
        """
        if self.checksum is None:
            return
        if self._body_crc is None:
            self._body_crc = self._compute_body_crc()
        if crc32(self._block[:CRC_OFFSET], self._body_crc) != self.checksum:
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
        if not self.signed_by:
            raise UnsignedError(f"payload {self.key} is not signed", remedy="have its producer set a signing key")
        block = self._block
        offset = FIXED_SIZE + len(self.codec) + len(self.signed_by) + 8 * len(self.frame_sizes)
        end = offset + MAC_SIZE
        unsigned = block[:CRC_OFFSET] + ZEROS[4] + block[FIXED_SIZE:offset] + ZEROS[MAC_SIZE] + block[end:]
        if key.name != self.signed_by or not key.matches(block[offset:end], self._signed_parts(unsigned)):
            raise SignatureError(
                f"payload {self.key} does not carry a valid signature of key {key.name!r}",
                found=[f"signed by {self.signed_by!r}"],
                remedy="it was forged or changed, or producer and consumer hold different keys of that name",
            )

    def _sign(self, mac_offset: int, key: SigningKey) -> None:
        block = self._block
        mac = key.authenticate(self._signed_parts(block))
        self._block = block[:mac_offset] + mac + block[mac_offset + MAC_SIZE :]
        self.signed_by = key.name

    def _signed_parts(self, block: bytes) -> tuple[Buffer, ...]:
        return (_MAC_CONTEXT, block, *body_buffers(self._frames, self.frame_sizes))

    def _add_checksum(self) -> None:
        start, rest = self._block[:CRC_OFFSET], self._block[FIXED_SIZE:]
        self._body_crc = self._compute_body_crc()
        self.checksum = crc = crc32(start, self._body_crc)
        self._block = start + CRC.pack(crc) + rest

    def _compute_body_crc(self) -> int:
        if self._whole is not None:
            return crc32(memoryview(self._whole)[FIXED_SIZE:])
        crc = crc32(self._block[FIXED_SIZE:])
        for buffer in body_buffers(self._frames, self.frame_sizes):
            crc = crc32(buffer, crc)
        return crc


_new = object.__new__
