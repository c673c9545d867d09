"""Which codecs exist in this process, and which one encodes an object of this type?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.errors import CodecError, SerializationError
from psk.wire.names import CODEC_RULE, is_codec_name
from psk.wire.pickling import CLOUDPICKLE, PICKLE
from psk.wire.raw import BYTEARRAY, BYTES, MEMORY, STR

if TYPE_CHECKING:
    from psk.wire.codec import Codec

PRIVATE_CODEC = "private"
"""Names what a callable serializer made: only the matching deserializer can read it, no codec can."""

_by_name = {codec.name: codec for codec in (BYTES, BYTEARRAY, STR, MEMORY, PICKLE, CLOUDPICKLE)}
_by_type: dict[type, Codec] = {bytes: BYTES, bytearray: BYTEARRAY, str: STR, memoryview: MEMORY}


def register_codec(codec: Codec, *, types: tuple[type, ...] = ()) -> None:
    """Make a codec known in this process; every process that decodes its payloads must do the same.

    Args:
        codec: The codec; registering the same one again changes nothing.
        types: Exact types whose objects it encodes when no codec is asked for; subclasses are not included.

    Raises:
        SerializationError: The name is malformed, or name or type belongs to another codec.
    """
    if not is_codec_name(codec.name) or codec.name == PRIVATE_CODEC:
        raise SerializationError(f"no codec can be named {codec.name!r:.64}", remedy=CODEC_RULE)
    for kind in types:
        if _by_type.get(kind, codec) is not codec:
            raise SerializationError(
                f"type {kind.__qualname__} already has the codec {_by_type[kind].name!r}",
                remedy="name the codec where you put the object instead",
            )
    if _by_name.setdefault(codec.name, codec) is not codec:
        raise SerializationError(
            f"another codec is registered as {codec.name!r}",
            found=sorted(_by_name),
            remedy="choose another name",
        )
    for kind in types:
        _by_type[kind] = codec


def find_codec(name: str) -> Codec:
    """Return the codec of this name.

    Raises:
        CodecError: None is registered here under that name.
    """
    codec = _by_name.get(name)
    if codec is None:
        if name == PRIVATE_CODEC:
            raise CodecError(
                "the object was encoded by a serializer that only its producer has",
                remedy="pass the matching deserializer, or register both as a codec in every process",
            )
        raise CodecError(
            f"no codec {name[:64]!r} is registered here",
            found=sorted(_by_name),
            remedy="import the module that registers it with psk.wire.register_codec",
        )
    return codec


def codec_for(obj: object) -> Codec:
    """Return the codec for this object when none is asked for: that of its exact type, else pickle."""
    try:
        return _by_type.get(type(obj), PICKLE)
    except TypeError:  # a metaclass may make its classes unhashable
        return PICKLE
