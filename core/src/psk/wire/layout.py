"""Where does each field of a payload's header block stand? The format itself is documented in docs/wire.md."""

from __future__ import annotations

import re
from functools import lru_cache
from struct import Struct

from psk.errors import PayloadError, SerializationError

MAGIC = b"\x93PSK"
VERSION = 1
HAS_CHECKSUM = 1
HAS_MAC = 2
ALIGNMENT = 64
FIXED_SIZE = 48
CRC_OFFSET = 44
MAC_SIZE = 32
READ_ONLY = 1 << 63
SIZE_MASK = READ_ONLY - 1
# A frame costs its reader some 200 bytes of bookkeeping whatever its length, so the number is limited as well.
MAXIMUM_FRAMES = 65_536

FIXED = Struct("<4sBBBB16sQIIII")
CRC = Struct("<I")
ZEROS = tuple(bytes(size) for size in range(ALIGNMENT))

_CODEC_NAME = re.compile(rb"[a-z0-9._-]{1,32}")
_KEY_NAME = re.compile(rb"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}")
_TABLES = tuple(Struct(f"<{count}Q") for count in range(17))


class Layout:
    """Describe the header block of all payloads that share codec, number of frames and signing key.

    Args:
        codec: Name of the codec.
        frame_count: Number of frames.
        key_name: Name of the signing key, empty for unsigned payloads.
    """

    __slots__ = ("codec", "key_name", "mac", "mac_offset", "pack", "size")

    def __init__(self, codec: str, frame_count: int, key_name: str) -> None:
        self.codec = codec.encode()
        self.key_name = key_name.encode()
        if not _CODEC_NAME.fullmatch(self.codec):
            raise SerializationError(
                f"{codec[:64]!r} is no codec name", remedy="use 1 to 32 of a-z 0-9 . _ -"
            )
        self.mac = bytes(MAC_SIZE) if key_name else b""
        used = FIXED_SIZE + len(self.codec) + len(self.key_name) + 8 * frame_count
        self.mac_offset = used
        used += len(self.mac)
        padding = -used % ALIGNMENT
        self.size = used + padding
        self.pack = Struct(
            f"{FIXED.format}{len(self.codec)}s{len(self.key_name)}s{frame_count}Q{len(self.mac)}s{padding}x"
        ).pack


find_layout = lru_cache(maxsize=128)(Layout)


@lru_cache(maxsize=128)
def codec_name(name: bytes) -> str:
    """Return a codec name read from a payload.

    Raises:
        PayloadError: It is not a name that this format allows.
    """
    if not _CODEC_NAME.fullmatch(name):
        raise PayloadError(f"the payload's codec name {name!r} is malformed")
    return name.decode()


@lru_cache(maxsize=128)
def signing_key_name(name: bytes) -> str:
    """Return a signing key's name read from a payload.

    Raises:
        PayloadError: It is not a name that this format allows.
    """
    if not _KEY_NAME.fullmatch(name):
        raise PayloadError(f"the payload's signing key name {name!r} is malformed")
    return name.decode()


def read_table(header: bytes, offset: int, count: int) -> tuple[int, ...]:
    """Return the frame table's entries; the caller has checked that they lie within the header."""
    table = _TABLES[count] if count < len(_TABLES) else Struct(f"<{count}Q")
    return table.unpack_from(header, offset)
