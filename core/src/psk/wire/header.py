"""Lay out and read the header block of a payload, as docs/wire.md defines it."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct
from typing import TYPE_CHECKING

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
# A table of 64 MiB, for 16 TiB.
MAXIMUM_CHUNKS = 1 << 24
CHUNK_BYTES = 1 << 20
"""Bytes of a frame that have a checksum of their own, if the payload has a checksum and is larger than that."""
HEADER_REACH = 4096
"""Bytes at a payload's start that hold all of its header block unless it has some 500 frames, or 1 GB."""

ZEROS = tuple(bytes(size) for size in range(ALIGNMENT))
_START = Struct("<4sBBBB")
_SHAPE = Struct("<8s24xI4xI")
_KNOWN_FLAGS = HAS_CHECKSUM | HAS_MAC | EXPIRES


class Layout:
    """Lay out the header block of all payloads that share the start of it: flags, lengths of names, number of frames.

    Args:
        start: Magic, version, flags, length of the codec's name, length of the key's name: 8 bytes.
        count: Number of frames.
        chunks: Number of chunks that have a checksum of their own.

    Attributes:
        size: Bytes in the block.
        sums_offset: Where the checksums of the chunks are.
        mac_offset: Where the MAC is, if there is one.
        fields: All of the block: start, object id, nbytes, frame count, revision, chunk count, checksum, codec name,
            key name, one entry for each frame, checksums of the chunks, MAC, padding.

    Raises:
        PayloadError: These are not the first bytes of a payload that this version can read.
    """

    __slots__ = ("expires", "fields", "has_checksum", "mac_offset", "padding", "size", "sums_offset")

    def __init__(self, start: bytes, count: int, chunks: int) -> None:
        magic, version, flags, codec_size, key_size = _START.unpack(start)
        if magic != MAGIC or version != VERSION:
            raise _foreign(magic, version)
        mac_size = MAC_SIZE if flags & HAS_MAC else 0
        self.has_checksum = flags & HAS_CHECKSUM > 0
        if flags & ~_KNOWN_FLAGS or (key_size > 0) != (mac_size > 0) or (chunks and not self.has_checksum):
            raise damaged(f"flags {flags:#x}")
        if count > MAXIMUM_FRAMES or chunks > MAXIMUM_CHUNKS:
            raise damaged(f"{count} frames and {chunks} chunks claimed")
        self.sums_offset = FIXED_SIZE + codec_size + key_size + 8 * count
        self.mac_offset = self.sums_offset + 4 * chunks
        used = self.mac_offset + mac_size
        self.size = used + 63 & -64
        self.padding = ZEROS[self.size - used]
        names = f"{codec_size}s{key_size}s"
        self.fields = Struct(f"<8s16sQIIII{names}{count}Q{4 * chunks}s{mac_size}s{len(self.padding)}s")
        self.expires = flags & EXPIRES > 0


find_layout = lru_cache(maxsize=128)(Layout)


@lru_cache(maxsize=128)
def lay_out(codec: str, flags: int, key_name: str, count: int, chunks: int) -> tuple[Layout, bytes, bytes, bytes]:
    """Return the layout of a header block that is to be written, its first 8 bytes, and the names in it.

    Args:
        codec: Name of the codec.
        flags: `HAS_CHECKSUM`, `EXPIRES`, both or none.
        key_name: Name of the signing key, empty for unsigned payloads.
        count: Number of frames.
        chunks: Number of chunks.

    Raises:
        SerializationError: The codec's name is malformed.
        PayloadError: There are too many frames, or chunks.
    """
    if not is_codec_name(codec):
        raise SerializationError(f"{codec[:64]!r} is not a valid codec name", remedy=CODEC_RULE)
    if key_name:
        flags |= HAS_MAC
    start = _START.pack(MAGIC, VERSION, flags, len(codec), len(key_name))
    return find_layout(start, count, chunks), start, codec.encode(), key_name.encode()


class Header:
    """Hold what a payload's header block says.

    Attributes:
        object_id: 16 random bytes.
        key: The object id in hexadecimal, with which every key of the object begins.
        codec: Name of the codec that made the frames.
        frame_sizes: Bytes in each frame.
        nbytes: Bytes in the whole payload: header block, frames and the padding between them.
        checksum: CRC-32 over the payload but the field itself; None if it carries none. Of a large payload it covers
            the header block, in which the checksums of its chunks are.
        expires: Whether the object was put with a time to live, so that no reader may keep it.
        signed_by: Name of the key that signed the payload; empty if it is not signed.
        revision: 0 for the first version of an object, one more for each update.
        sums: CRC-32 of each chunk, 4 bytes each; empty if none has its own.
    """

    __slots__ = (
        *("_block", "_table", "checksum", "codec", "expires", "frame_sizes", "key", "nbytes", "object_id"),
        *("revision", "signed_by", "sums"),
    )

    @classmethod
    def read(cls, start: object) -> Header:
        """Read the header block alone, from a payload's first bytes; how many follow does not matter.

        Args:
            start: A buffer with at least the header block; `HEADER_REACH` bytes nearly always suffice.

        Raises:
            PayloadError: Truncated, damaged, foreign, or of a newer version of the format.
        """
        self = object.__new__(cls)
        self._read_block(start)
        return self

    def frame_ranges(self) -> list[tuple[int, int]]:
        """Return where each frame begins and ends in the payload."""
        ranges = []
        end = len(self._block)
        for size in self.frame_sizes:
            begin = end + 63 & -64
            end = begin + size
            ranges.append((begin, end))
        return ranges

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
        if given < FIXED_SIZE:
            raise PayloadError(
                f"{given} bytes are too few for a payload",
                found=[f"its header alone has {FIXED_SIZE}"],
                remedy="put the object again",
            )
        layout = find_layout(*_SHAPE.unpack_from(whole))
        size = layout.size
        if given < size:
            raise damaged(f"{given} bytes, and its header block alone has {size}")
        block = whole[:size]
        self._block: bytes = block if type(block) is bytes else bytes(block)
        fields = layout.fields.unpack(block)
        _, object_id, nbytes, _, revision, chunks, crc, codec, key_name = fields[:9]
        if fields[-1] != layout.padding or (crc and not layout.has_checksum):
            raise damaged("bytes that must be zero and are not")
        self.object_id: bytes = object_id
        self.key: str = object_id.hex()
        self.codec: str = read_name(codec, "codec")
        self.signed_by: str = read_name(key_name, "signing key") if key_name else ""
        self.nbytes: int = nbytes
        self.revision: int = revision
        self.checksum: int | None = crc if layout.has_checksum else None
        self.expires: bool = layout.expires
        table: tuple[int, ...] = fields[9:-3]
        self._table: Sequence[int] = table
        self.sums: bytes = fields[-3]
        self.frame_sizes, length = measure(table)
        if size + length != nbytes:
            raise damaged(f"{nbytes} bytes claimed, and {len(table)} frames that end at {size + length}")
        if chunks and chunks != count_chunks(self.frame_sizes):
            raise damaged(f"{chunks} chunks claimed, and {count_chunks(self.frame_sizes)} that its frames have")
        return whole


def block_size(start: bytes | memoryview) -> int:
    """Return how long the header block is, from its first `FIXED_SIZE` bytes.

    Raises:
        PayloadError: They are fewer, or not the first bytes of a payload that this version can read.
    """
    if len(start) < FIXED_SIZE:
        raise damaged(f"{len(start)} bytes")
    size: int = find_layout(*_SHAPE.unpack_from(start)).size
    return size


def count_chunks(sizes: Sequence[int]) -> int:
    """Return the number of chunks of frames with these sizes."""
    return sum([-(-size // CHUNK_BYTES) for size in sizes])


def measure(table: Sequence[int]) -> tuple[tuple[int, ...], int]:
    """Return the sizes of the frames in a frame table, and of all of them with the padding between them.

    Args:
        table: The entry of each frame. The first begins aligned, as each of the others does.
    """
    if len(table) == 1:  # as in most payloads
        size = table[0] & SIZE_MASK
        return (size,), size
    sizes = []
    end = 0
    for entry in table:
        size = entry & SIZE_MASK
        sizes.append(size)
        end = (end + 63 & -64) + size
    return tuple(sizes), end


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


def damaged(*found: str) -> PayloadError:
    """Return the error of a payload whose bytes are not laid out as its header claims."""
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
