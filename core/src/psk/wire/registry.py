"""Which codecs exist in this process, and which one encodes an object of this type?"""

from __future__ import annotations

import re

from psk.errors import CodecError, SerializationError
from psk.wire.codec import Codec
from psk.wire.pickling import CLOUDPICKLE, PICKLE
from psk.wire.raw import BYTEARRAY, BYTES, MEMORY, STR

_NAME = re.compile(r"[a-z0-9._-]{1,32}")
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
    if not _NAME.fullmatch(codec.name):
        raise SerializationError(f"{codec.name!r} is no codec name", remedy="use 1 to 32 of a-z 0-9 . _ -")
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
        raise CodecError(
            f"no codec {name[:64]!r} is registered here",
            found=sorted(_by_name),
            remedy="import the module that registers it with psk.wire.register_codec",
        )
    return codec


def codec_for(obj: object) -> Codec:
    """Return the codec that encodes this object when none is asked for: that of its exact type, else pickle."""
    try:
        return _by_type.get(type(obj), PICKLE)
    except TypeError:  # a metaclass may make its classes unhashable
        return PICKLE
