"""What does a payload's header block say, and can it be true for the bytes that came with it?"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from psk.errors import PayloadError
from psk.wire.frames import byte_view
from psk.wire.layout import (
    ALIGNMENT,
    EXPIRES,
    FIXED,
    FIXED_SIZE,
    HAS_CHECKSUM,
    HAS_MAC,
    KNOWN_FLAGS,
    MAC_SIZE,
    MAGIC,
    MAXIMUM_FRAMES,
    SIZE_MASK,
    VERSION,
    ZEROS,
    read_table,
)
from psk.wire.names import read_codec_name, read_signing_key_name

if TYPE_CHECKING:
    from collections.abc import Sequence

_START = MAGIC + bytes((VERSION,))
_CODEC_SIZE_OFFSET = 6
_SHORT_NAME = 8  # with one frame, the longest codec name for which the header block has its least size
_COMMON = tuple(Struct(f"<5sBBB16sQIIII{size}sQ{_SHORT_NAME - size}s") for size in range(_SHORT_NAME + 1))

HEADER_REACH = 4096
"""Bytes at a payload's start that hold all of its header block unless it has some 500 frames."""


class Header:
    """Hold what a payload's header block says.

    Attributes:
        object_id: 16 bytes; their hexadecimal form begins the object's key.
        codec: Name of the codec that made the frames.
        frame_sizes: Bytes in each frame.
        nbytes: Bytes in the whole payload: header block, frames and the padding between them.
        checksum: CRC-32 over the whole payload but the field itself; None if it carries none.
        expires: Whether the object was put with a time to live, so that no reader may keep it.
        signed_by: Name of the key that signed the payload; empty if nobody did.
        revision: 0 for the first version of an object, one more for each update.
    """

    __slots__ = (
        "_block",
        "_table",
        "checksum",
        "codec",
        "expires",
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
    expires: bool
    signed_by: str
    revision: int
    _block: bytes
    _table: Sequence[int]

    @classmethod
    def read(cls, start: object) -> Header:
        """Read the header block alone, from a payload's first bytes; how many follow does not matter.

        Args:
            start: A buffer with at least the header block; `HEADER_REACH` bytes nearly always suffice.

        Raises:
            PayloadError: Truncated, damaged, foreign, or of a newer version of the format.
        """
        self = cls.__new__(cls)
        self._read_block(start)
        return self

    @property
    def key(self) -> str:
        """The object id in hexadecimal, with which every key of the object begins."""
        return self.object_id.hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.key}, codec={self.codec!r}, nbytes={self.nbytes})"

    def _read_block(self, first: object) -> bytes | memoryview:
        """Read the header block at a buffer's start; return the buffer, as bytes if it is, else as a view."""
        if type(first) is bytes:
            whole: bytes | memoryview = first
        else:
            try:
                whole = byte_view(first)
            except (TypeError, ValueError, BufferError) as error:
                raise PayloadError(f"no payload can be read from {type(first).__name__}: {error}") from error
        given = len(whole)
        if given >= ALIGNMENT and (codec_size := whole[_CODEC_SIZE_OFFSET]) <= _SHORT_NAME:
            # One frame, a short codec name, no signature: most payloads, in one step instead of many.
            (
                start,
                flags,
                _,
                key_size,
                object_id,
                nbytes,
                count,
                revision,
                reserved,
                crc,
                codec,
                entry,
                padding,
            ) = _COMMON[codec_size].unpack_from(whole)
            if (
                start == _START
                and count == 1
                and not (key_size or reserved or flags & ~(HAS_CHECKSUM | EXPIRES))
                and (flags & HAS_CHECKSUM or not crc)
                and padding == ZEROS[_SHORT_NAME - codec_size]
            ):
                self._block = whole if type(whole) is bytes and given == ALIGNMENT else bytes(whole[:ALIGNMENT])
                self.codec = read_codec_name(codec)
                self.signed_by = ""
                self._table = (entry,)
                self.frame_sizes = (entry & SIZE_MASK,)
                self.object_id = object_id
                self.nbytes = nbytes
                self.revision = revision
                self.checksum = crc if flags & HAS_CHECKSUM else None
                self.expires = flags >= EXPIRES
                return whole
        self._read_any_block(whole)
        return whole

    def _read_any_block(self, whole: bytes | memoryview) -> None:
        given = len(whole)
        if given < FIXED_SIZE:
            raise PayloadError(
                f"{given} bytes are no payload",
                found=[f"its header alone has {FIXED_SIZE}"],
                remedy="put the object again",
            )
        magic, version, flags, codec_size, key_size, object_id, nbytes, count, revision, reserved, crc = (
            FIXED.unpack_from(whole)
        )
        if magic != MAGIC or version != VERSION:
            raise _foreign(magic, version)
        table_offset = FIXED_SIZE + codec_size + key_size
        used = table_offset + 8 * count + (MAC_SIZE if flags & HAS_MAC else 0)
        size = used + 63 & -64
        if (
            flags & ~KNOWN_FLAGS
            or reserved
            or (crc and not flags & HAS_CHECKSUM)
            or (key_size > 0) != (flags & HAS_MAC > 0)
            or count > MAXIMUM_FRAMES
            or size > given
        ):
            raise PayloadError(
                "a payload's header is damaged or cut off",
                found=[f"{given} bytes", f"flags {flags:#x}", f"{count} frames claimed"],
                remedy="put the object again",
            )
        self._block = block = bytes(whole[:size])
        if not block.endswith(ZEROS[size - used]):
            raise PayloadError(
                "a payload's header is damaged",
                found=["padding that is not zero"],
                remedy="put the object again",
            )
        self.codec = read_codec_name(block[FIXED_SIZE : FIXED_SIZE + codec_size])
        self.signed_by = read_signing_key_name(block[FIXED_SIZE + codec_size : table_offset]) if key_size else ""
        self._table = table = read_table(block, table_offset, count)
        self.frame_sizes = tuple([entry & SIZE_MASK for entry in table])
        self.object_id = object_id
        self.nbytes = nbytes
        self.revision = revision
        self.checksum = crc if flags & HAS_CHECKSUM else None
        self.expires = flags >= EXPIRES


def _foreign(magic: bytes, version: int) -> PayloadError:
    if magic != MAGIC:
        return PayloadError(
            "these bytes are no payload of psk",
            found=[f"they begin with {magic!r}"],
            remedy="only psk may write where a store keeps its objects",
        )
    return PayloadError(
        f"the payload has format version {version}, which this psk cannot read",
        found=[f"version {VERSION}"],
        remedy="install the producer's version of psk-core here",
    )
