"""Which codecs exist in this process, and which one encodes an object of this type?"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from psk.errors import CodecError, SerializationError
from psk.wire.libraries import is_loaded
from psk.wire.names import CODEC_RULE, is_codec_name
from psk.wire.pickling import CLOUDPICKLE, PICKLE
from psk.wire.raw import BYTEARRAY, BYTES, MEMORY, STR

if TYPE_CHECKING:
    from psk.wire.codec import Codec

PRIVATE_CODEC = "private"
"""Names what a callable serializer made: only the matching deserializer can read it, no codec can."""

_by_name = {codec.name: codec for codec in (BYTES, BYTEARRAY, STR, MEMORY, PICKLE, CLOUDPICKLE)}
_TENSORS = ("Tensor", "Parameter")
_modules = sys.modules
_name_of_type = type.__dict__["__name__"].__get__
_by_type: dict[type, Codec] = {bytes: BYTES, bytearray: BYTEARRAY, str: STR, memoryview: MEMORY}


def _load_torch() -> Codec:
    try:
        from psk.wire.tensors import CODEC
    except ImportError as error:
        raise CodecError(
            f"the codec 'torch' cannot be loaded here: {error}", remedy="pip install torch, or repair it"
        ) from error
    return _by_name.setdefault(CODEC.name, CODEC)


# A payload that names one of these makes its library be imported; no other name imports anything.
_on_demand = {"torch": _load_torch}


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
    taken = codec.name in _on_demand and codec.name not in _by_name
    if taken or _by_name.setdefault(codec.name, codec) is not codec:
        raise SerializationError(
            f"another codec is registered as {codec.name!r}",
            found=sorted({*_by_name, *_on_demand}),
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
        if name in _on_demand:
            return _on_demand[name]()
        if name == PRIVATE_CODEC:
            raise CodecError(
                "the object was encoded by a serializer that only its producer has",
                remedy="pass the matching deserializer, or register both as a codec in every process",
            )
        raise CodecError(
            f"no codec {name[:64]!r} is registered here",
            found=sorted({*_by_name, *_on_demand}),
            remedy="import the module that registers it with psk.wire.register_codec",
        )
    return codec


def codec_for(obj: object) -> Codec:
    """Return the codec for this object when none is asked for: that of its exact type, else pickle."""
    kind = type(obj)
    try:
        codec = _by_type.get(kind)
    except TypeError:  # a metaclass may make its classes unhashable
        return PICKLE
    if codec is not None:
        return codec
    return _codec_of_tensor(obj) if "torch" in _modules and _name_of_type(kind) in _TENSORS else PICKLE


def _codec_of_tensor(obj: object) -> Codec:
    if not is_loaded("torch"):
        return PICKLE
    try:
        from psk.wire.tensors import CODEC, encodable
    except (ImportError, AttributeError):  # something else of that name, or another version
        return PICKLE
    return CODEC if encodable(obj) else PICKLE
