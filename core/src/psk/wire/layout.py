"""Where does each field of a payload's header block stand? docs/wire.md documents the format."""

from __future__ import annotations

from functools import lru_cache
from struct import Struct

from psk.errors import SerializationError
from psk.wire.names import CODEC_RULE, is_codec_name

MAGIC = b"\x93PSK"
VERSION = 1
HAS_CHECKSUM = 1
HAS_MAC = 2
EXPIRES = 4
KNOWN_FLAGS = HAS_CHECKSUM | HAS_MAC | EXPIRES
ALIGNMENT = 64
FIXED_SIZE = 48
FLAGS_OFFSET = 5
CRC_OFFSET = 44
MAC_SIZE = 32
READ_ONLY = 1 << 63
SIZE_MASK = READ_ONLY - 1
# A frame costs its reader some 200 bytes of bookkeeping whatever its length, so their number is limited too.
MAXIMUM_FRAMES = 65_536

FIXED = Struct("<4sBBBB16sQIIII")
CRC = Struct("<I")
ZEROS = tuple(bytes(size) for size in range(ALIGNMENT))

_TABLES = tuple(Struct(f"<{count}Q") for count in range(17))


class Layout:
    """Describe the header block of all payloads that share codec, number of frames and signing key.

    Args:
        codec: Name of the codec.
        frame_count: Number of frames.
        key_name: Name of the signing key, empty for unsigned payloads.

    Raises:
        SerializationError: The codec's name is malformed.
    """

    __slots__ = ("codec", "key_name", "mac", "mac_offset", "pack", "size")

    def __init__(self, codec: str, frame_count: int, key_name: str) -> None:
        if not is_codec_name(codec):
            raise SerializationError(f"{codec[:64]!r} is no codec name", remedy=CODEC_RULE)
        self.codec = codec.encode()
        self.key_name = key_name.encode()
        self.mac = bytes(MAC_SIZE) if key_name else b""
        self.mac_offset = FIXED_SIZE + len(self.codec) + len(self.key_name) + 8 * frame_count
        used = self.mac_offset + len(self.mac)
        padding = -used % ALIGNMENT
        self.size = used + padding
        self.pack = Struct(
            f"{FIXED.format}{len(self.codec)}s{len(self.key_name)}s{frame_count}Q{len(self.mac)}s{padding}x"
        ).pack


find_layout = lru_cache(maxsize=128)(Layout)


def read_table(header: bytes, offset: int, count: int) -> tuple[int, ...]:
    """Return the frame table's entries; the caller has checked that they lie within the header."""
    table = _TABLES[count] if count < len(_TABLES) else Struct(f"<{count}Q")
    return table.unpack_from(header, offset)
