"""Lay out and read the header block of a payload, as docs/wire.md defines it."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError, SerializationError
from psk.wire.codec import CODEC_RULE, is_codec_name
from psk.wire.signing import is_signing_key_name

if TYPE_CHECKING:
    from collections.abc import Sequence

MAGIC = b"\x93PSK"
VERSION = 1
HAS_CHECKSUM = 1
HAS_MAC = 2
EXPIRES = 4
ALIGNMENT = 64
FIXED_SIZE = 48
"""Bytes of a header block before its names: the fields that every payload has."""
FLAGS_OFFSET = 5
CRC_OFFSET = 44
MAC_SIZE = 32
READ_ONLY = 1 << 63
SIZE_MASK = READ_ONLY - 1
# A frame costs its reader some 200 bytes of bookkeeping whatever its length, so their number is limited too.
MAXIMUM_FRAMES = 65_536
HEADER_REACH = 4096
"""Bytes at a payload's start that hold all of its header block unless it has some 500 frames."""

START = MAGIC + bytes((VERSION,))
ZEROS = tuple(bytes(size) for size in range(ALIGNMENT))
_KNOWN_FLAGS = HAS_CHECKSUM | HAS_MAC | EXPIRES
_FIXED = Struct("<4sBBBB16sQIIII")
_CODEC_SIZE_OFFSET = 6
_SHORT_NAME = 8  # with one frame, the longest codec name for which the header block has its least size
_COMMON = tuple(Struct(f"<5sBBB16sQIIII{size}sQ{_SHORT_NAME - size}s") for size in range(_SHORT_NAME + 1))


class Layout:
    """Lay out the header block of all payloads that share codec, number of frames and signing key.

    Args:
        codec: Name of the codec.
        frame_count: Number of frames.
        key_name: Name of the signing key, empty for unsigned payloads.

    Raises:
        SerializationError: The codec's name is malformed.
    """

    __slots__ = ("lengths", "mac_offset", "names", "pack", "size")

    def __init__(self, codec: str, frame_count: int, key_name: str) -> None:
        if not is_codec_name(codec):
            raise SerializationError(f"{codec[:64]!r} is not a valid codec name", remedy=CODEC_RULE)
        self.lengths = bytes((len(codec), len(key_name)))
        self.names = (codec + key_name).encode()
        self.mac_offset = FIXED_SIZE + len(self.names) + 8 * frame_count
        used = self.mac_offset + (MAC_SIZE if key_name else 0)
        self.size = used + 63 & -64
        # Reserved bytes, checksum and MAC are zero at first.
        self.pack = Struct(f"<5sB2s16sQII8x{len(self.names)}s{frame_count}Q{self.size - self.mac_offset}x").pack


find_layout = lru_cache(maxsize=128)(Layout)


class Header:
    """Hold what a payload's header block says.

    Attributes:
        object_id: 16 random bytes.
        key: The object id in hexadecimal, with which every key of the object begins.
        codec: Name of the codec that made the frames.
        frame_sizes: Bytes in each frame.
        nbytes: Bytes in the whole payload: header block, frames and the padding between them.
        checksum: CRC-32 over the whole payload but the field itself; None if it carries none.
        expires: Whether the object was put with a time to live, so that no reader may keep it.
        signed_by: Name of the key that signed the payload; empty if it is not signed.
        revision: 0 for the first version of an object, one more for each update.
    """

    __slots__ = (
        *("_block", "_table", "checksum", "codec", "expires", "frame_sizes", "key", "nbytes", "object_id"),
        *("revision", "signed_by"),
    )

    object_id: bytes
    key: str
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
        # One frame, a short codec name, no signature: most payloads are read in one step.
        is_common = given >= ALIGNMENT and (codec_size := whole[_CODEC_SIZE_OFFSET]) <= _SHORT_NAME
        if is_common:
            fields = _COMMON[codec_size].unpack_from(whole)
            start, flags, _, key_size, object_id, nbytes, count, revision, reserved, crc, codec, entry, padding = fields
            is_common = (
                start == START
                and count == 1
                and not (key_size or reserved or flags & ~(HAS_CHECKSUM | EXPIRES))
                and padding == ZEROS[_SHORT_NAME - codec_size]
            )
        if is_common:
            self._block = whole if type(whole) is bytes and given == ALIGNMENT else bytes(whole[:ALIGNMENT])
            self.codec = read_name(codec, "codec")
            self.signed_by = ""
            self._table = (entry,)
            self.frame_sizes = (entry & SIZE_MASK,)
        else:
            flags, object_id, nbytes, revision, crc = self._read_any_block(whole)
        if crc and not flags & HAS_CHECKSUM:
            raise _damaged("a checksum that its flags deny")
        self.object_id = object_id
        self.key = object_id.hex()
        self.nbytes = nbytes
        self.revision = revision
        self.checksum = crc if flags & HAS_CHECKSUM else None
        self.expires = flags >= EXPIRES
        return whole

    def _read_any_block(self, whole: bytes | memoryview) -> tuple[int, bytes, int, int, int]:
        given = len(whole)
        if given < FIXED_SIZE:
            raise PayloadError(
                f"{given} bytes are too few for a payload",
                found=[f"its header alone has {FIXED_SIZE}"],
                remedy="put the object again",
            )
        fields: tuple[Any, ...] = _FIXED.unpack_from(whole)
        magic, version, flags, codec_size, key_size, object_id, nbytes, count, revision, reserved, crc = fields
        if magic != MAGIC or version != VERSION:
            raise _foreign(magic, version)
        names_end = FIXED_SIZE + codec_size + key_size
        used = names_end + 8 * count + (MAC_SIZE if flags & HAS_MAC else 0)
        size = used + 63 & -64
        is_signed = flags & HAS_MAC > 0
        if flags & ~_KNOWN_FLAGS or reserved or (key_size > 0) != is_signed or count > MAXIMUM_FRAMES or size > given:
            raise _damaged(f"{given} bytes", f"flags {flags:#x}", f"{count} frames claimed")
        self._block = block = bytes(whole[:size])
        if not block.endswith(ZEROS[size - used]):
            raise _damaged("padding that is not zero")
        codec_end = FIXED_SIZE + codec_size
        self.codec = read_name(block[FIXED_SIZE:codec_end], "codec")
        self.signed_by = read_name(block[codec_end:names_end], "signing key") if key_size else ""
        self._table = table = _entries(count).unpack_from(block, names_end)
        self.frame_sizes = tuple([entry & SIZE_MASK for entry in table])
        return flags, object_id, nbytes, revision, crc


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


@lru_cache(maxsize=128)
def read_name(encoded: bytes, of: str) -> str:
    """Return the name of a codec or signing key from its bytes in a payload.

    Raises:
        PayloadError: The format does not allow this name.
    """
    name = encoded.decode("ascii", "replace")
    if not (is_codec_name if of == "codec" else is_signing_key_name)(name):
        raise PayloadError(f"a payload's {of} name {encoded!r} is malformed", remedy="put the object again")
    return name


@lru_cache(maxsize=128)
def _entries(count: int) -> Struct:
    return Struct(f"<{count}Q")


def _damaged(*found: str) -> PayloadError:
    return PayloadError("a payload's header is damaged or truncated", found=found, remedy="put the object again")


def _foreign(magic: bytes, version: int) -> PayloadError:
    if magic != MAGIC:
        return PayloadError(
            "these bytes are not a payload of psk",
            found=[f"they begin with {magic!r}"],
            remedy="only psk may write where a store keeps its objects",
        )
    return PayloadError(
        f"the payload has format version {version}, which this psk cannot read",
        found=[f"version {VERSION}"],
        remedy="install the producer's version of psk-core here",
    )
