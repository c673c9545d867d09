"""How does an object travel? Payloads, references, codecs and signatures: everything that fixes bytes."""

from psk.wire.codec import Codec
from psk.wire.coding import decode, encode
from psk.wire.frames import Buffer, Frame, Frames
from psk.wire.header import HEADER_REACH, Header
from psk.wire.memory import allocate
from psk.wire.object_id import new_object_id
from psk.wire.payload import Payload
from psk.wire.reference import Reference
from psk.wire.registry import PRIVATE_CODEC, codec_for, find_codec, register_codec
from psk.wire.signing import SigningKey, find_signing_key, set_signing_key
from psk.wire.type_codes import code_of, is_builtin_code, portable_hash, type_of

__all__ = [
    "HEADER_REACH",
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
    "code_of",
    "codec_for",
    "decode",
    "encode",
    "find_codec",
    "find_signing_key",
    "is_builtin_code",
    "new_object_id",
    "portable_hash",
    "register_codec",
    "set_signing_key",
    "type_of",
]
