"""What is one object as it travels? A header block and frames, checked before anybody looks inside."""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from psk.errors import PayloadError, SerializationError, SignatureError, UnsignedError
from psk.wire.body import body_buffers, keep_frame, match_body, split_body
from psk.wire.frames import Frames
from psk.wire.header import read_header
from psk.wire.layout import (
    CRC,
    CRC_OFFSET,
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


class Payload:
    """Hold one encoded object: made by `build` from frames, or by `parse` from what a channel returned.

    Attributes:
        object_id: 16 bytes; their hexadecimal form begins the object's key.
        codec: Name of the codec that made the frames.
        frame_sizes: Bytes in each frame.
        nbytes: Bytes in the whole payload: header block, frames and the padding between them.
        checksum: CRC-32 over the whole payload but the field itself; None if it carries none.
        signed_by: Name of the key that signed it; empty if nobody did.
        revision: 0 for the first version of an object, one more for each update.
    """

    __slots__ = (
        "_body_crc",
        "_frames",
        "_header",
        "_received",
        "_table",
        "_whole",
        "checksum",
        "codec",
        "frame_sizes",
        "nbytes",
        "object_id",
        "revision",
        "signed_by",
    )

    object_id: bytes
    codec: str
    frame_sizes: tuple[int, ...]
    nbytes: int
    checksum: int | None
    signed_by: str
    revision: int
    _header: bytes
    _frames: Sequence[Buffer | list[Buffer]]
    _received: bool  # False in a built payload: its frames are the producer's own memory
    _table: Sequence[int]
    _whole: memoryview | None
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
            signing_key: Key to sign with; None leaves the payload unsigned.

        Raises:
            SerializationError: Name, id, revision or frames do not fit the format.
        """
        if object_id is None:
            object_id = new_object_id()
        elif type(object_id) is not bytes or len(object_id) != OBJECT_ID_SIZE:
            raise SerializationError(
                f"an object id is {OBJECT_ID_SIZE} bytes",
                found=[repr(object_id)[:64]],
                remedy="use new_object_id()",
            )
        count = len(frames)
        if count > MAXIMUM_FRAMES or not 0 <= revision < 1 << 32:
            raise SerializationError(
                f"no payload can hold {count} frames at revision {revision}",
                remedy=f"use at most {MAXIMUM_FRAMES} frames and a revision below 2**32",
            )
        layout = find_layout(codec, count, "" if signing_key is None else signing_key.name)
        end = layout.size
        kept: list[Buffer | list[Buffer]] = []
        sizes: list[int] = []
        table: list[int] = []
        for frame in frames:
            if type(frame) is bytes:
                size = len(frame)
                table.append(size | READ_ONLY)
                kept.append(frame)
            else:
                buffer, size, entry = keep_frame(frame)
                table.append(entry)
                kept.append(buffer)
            sizes.append(size)
            end = (end + 63 & -64) + size
        self = _new(cls)
        self.object_id = object_id
        self.codec = codec
        self.frame_sizes = tuple(sizes)
        self.nbytes = end
        self.signed_by = ""
        self.revision = revision
        self._frames = kept
        self._received = False
        self._table = table
        self._whole = None
        self.checksum = self._body_crc = None
        flags = HAS_CHECKSUM if checksum else 0
        if signing_key is not None:
            flags |= HAS_MAC
            self.signed_by = signing_key.name
        header: bytes = layout.pack(
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
        self._header = header
        if flags:
            self._seal(layout.mac_offset, signing_key, checksum=checksum)
        return self

    def _seal(self, mac_offset: int, signing_key: SigningKey | None, *, checksum: bool) -> None:
        header = self._header
        if signing_key is not None:
            mac = signing_key.authenticate(
                (_MAC_CONTEXT, header, *body_buffers(self._frames, self.frame_sizes))
            )
            self._header = header = header[:mac_offset] + mac + header[mac_offset + MAC_SIZE :]
        if checksum:
            self._body_crc = crc = self._compute_body_crc()
            self.checksum = crc = crc32(header[:CRC_OFFSET], crc)
            self._header = header[:CRC_OFFSET] + CRC.pack(crc) + header[FIXED_SIZE:]

    @classmethod
    def parse(cls, source: Frames | Buffer) -> Payload:
        """Read a payload's structure; nothing is decoded, and nothing allocated because of a claimed size.

        Args:
            source: What a connector returned, or one buffer with the whole payload.

        Raises:
            PayloadError: The bytes are truncated, damaged, from another program or a newer version of the format.
        """
        if type(source) is Frames:
            buffers, body_crc = source.buffers, source.crc
        else:
            buffers, body_crc = (source,), None  # type: ignore[assignment]  # a buffer, the union's other arm
        self = _new(cls)
        (
            whole,
            header,
            self.codec,
            self.signed_by,
            table,
            self.object_id,
            nbytes,
            self.revision,
            self.checksum,
        ) = read_header(buffers[0] if buffers else b"")
        self.frame_sizes = sizes = tuple([entry & SIZE_MASK for entry in table])
        if len(buffers) == 1:
            self._frames = split_body(whole, len(header), sizes, nbytes)
            self._whole = whole
        else:
            self._frames = match_body(buffers, len(header), sizes, nbytes)
            self._whole = None
        self.nbytes = nbytes
        self._header = header
        self._received = True
        self._table = table
        self._body_crc = body_crc
        return self

    @property
    def key(self) -> str:
        """The object id in hexadecimal, with which every key of the object begins."""
        return self.object_id.hex()

    def buffers(self) -> list[Buffer]:
        """Return what to write, in order and with padding: views of the object's memory, `nbytes` bytes in all."""
        if self._whole is not None:
            return [self._whole]
        return [self._header, *body_buffers(self._frames, self.frame_sizes)]

    def tobytes(self) -> bytes:
        """Return the payload as one bytes object, a copy."""
        return b"".join(self.buffers())

    def frame_views(self, *, private: bool = False) -> list[memoryview]:
        """Return one view per frame.

        A view is read-only where the producer's memory was, where the received buffer is shared, and always in
        a payload that was built here and not received.

        Args:
            private: Whether a frame that was writable in the producer, but is shared here, is copied, so that
                every such view is writable.
        """
        views = []
        for frame, entry in zip(self._frames, self._table, strict=True):
            if type(frame) is list:
                frame = b"".join(frame)  # noqa: PLW2901  # only in a payload built here
            view = frame if type(frame) is memoryview else memoryview(frame)
            if (entry >= READ_ONLY or not self._received) and not view.readonly:
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
        crc = self._body_crc
        if crc is None:
            crc = self._compute_body_crc()
        if crc32(self._header[:CRC_OFFSET], crc) != self.checksum:
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
            raise UnsignedError(
                f"payload {self.key} is not signed", remedy="have its producer set a signing key"
            )
        header = self._header
        offset = FIXED_SIZE + len(self.codec) + len(self.signed_by) + 8 * len(self.frame_sizes)
        unsigned = b"".join(
            (
                header[:CRC_OFFSET],
                ZEROS[4],
                header[FIXED_SIZE:offset],
                ZEROS[MAC_SIZE],
                header[offset + MAC_SIZE :],
            )
        )
        mac = header[offset : offset + MAC_SIZE]
        if key.name != self.signed_by or not key.matches(
            mac, (_MAC_CONTEXT, unsigned, *body_buffers(self._frames, self.frame_sizes))
        ):
            raise SignatureError(
                f"payload {self.key} does not carry a valid signature of key {key.name!r}",
                found=[f"signed by {self.signed_by!r}"],
                remedy="it was forged or changed, or producer and consumer hold different keys of that name",
            )

    def _compute_body_crc(self) -> int:
        if self._whole is not None:
            return crc32(self._whole[FIXED_SIZE:])
        crc = crc32(self._header[FIXED_SIZE:])
        for buffer in body_buffers(self._frames, self.frame_sizes):
            crc = crc32(buffer, crc)
        return crc

    def __repr__(self) -> str:
        return f"Payload({self.key}, codec={self.codec!r}, nbytes={self.nbytes})"


_new = object.__new__
