"""Encode objects as payloads, and name them by references: everything that fixes bytes."""

from psk.wire.codec import Buffer, Codec, Frame
from psk.wire.codecs import PRIVATE_CODEC, codec_for, decode, encode, find_codec, register_codec
from psk.wire.header import (
    ALIGNMENT,
    CHUNK_BYTES,
    FIXED_SIZE,
    FLAGS_OFFSET,
    HAS_CHECKSUM,
    HEADER_REACH,
    MAGIC,
    Header,
    block_size,
)
from psk.wire.payload import Frames, Payload, allocate, new_object_id
from psk.wire.reference import Reference, is_distribution_name, shown_uri
from psk.wire.signing import SigningKey, find_signing_key, set_signing_key
from psk.wire.type_codes import code_of, is_builtin_code, portable_hash, type_name, type_of

__all__ = [
    "ALIGNMENT",
    "CHUNK_BYTES",
    "FIXED_SIZE",
    "FLAGS_OFFSET",
    "HAS_CHECKSUM",
    "HEADER_REACH",
    "MAGIC",
    "PRIVATE_CODEC",
    "Buffer",
    "Codec",
    "Frame",
    "Frames",
    "Header",
    "Payload",
    "Reference",
    "SigningKey",
    "allocate",
    "block_size",
    "code_of",
    "codec_for",
    "decode",
    "encode",
    "find_codec",
    "find_signing_key",
    "is_builtin_code",
    "is_distribution_name",
    "new_object_id",
    "portable_hash",
    "register_codec",
    "set_signing_key",
    "shown_uri",
    "type_name",
    "type_of",
]
