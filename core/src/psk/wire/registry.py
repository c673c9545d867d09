"""Which codecs exist in this process, and which one encodes an object of this type?"""

from __future__ import annotations

import sys

from psk.errors import CodecError, SerializationError, UnknownPluginError
from psk.wire.codec import Codec
from psk.wire.libraries import is_loaded
from psk.wire.names import CODEC_RULE, is_codec_name
from psk.wire.pickling import CLOUDPICKLE, PICKLE
from psk.wire.raw import BYTEARRAY, BYTES, MEMORY, STR

PRIVATE_CODEC = "private"
"""Names what a callable serializer made: only the matching deserializer can read it, no codec can."""

_by_name = {codec.name: codec for codec in (BYTES, BYTEARRAY, STR, MEMORY, PICKLE, CLOUDPICKLE)}
_TENSORS = ("Tensor", "Parameter")
_modules = sys.modules
_name_of_type = type.__dict__["__name__"].__get__
_by_type: dict[type, Codec] = {bytes: BYTES, bytearray: BYTEARRAY, str: STR, memoryview: MEMORY}
_awaited: dict[str, Codec] = {}
"""By `module:type`: codecs of plug-ins for types whose module nobody has imported yet."""


def _load_torch() -> Codec:
    try:
        from psk.wire.tensors import CODEC
    except (ImportError, OSError) as error:
        raise CodecError(
            f"the codec 'torch' cannot be loaded here: {error}", remedy="pip install torch, or repair it"
        ) from error
    return _by_name.setdefault(CODEC.name, CODEC)


# A payload that names one of these makes its library be imported; another name at most the plug-in that has it.
_on_demand = {"torch": _load_torch}


def register_codec(codec: Codec, *, types: tuple[type, ...] = ()) -> None:
    """Make a codec known in this process; every process that decodes its payloads must do the same.

    Args:
        codec: The codec; registering the same one again changes nothing.
        types: Exact types whose objects it encodes when no codec is asked for; subclasses are not included.

    Raises:
        SerializationError: The name is malformed, or name or type belongs to another codec.
    """
    if not isinstance(codec, Codec):
        raise SerializationError(f"{codec!r:.80} is not a psk.wire.Codec", remedy="give Codec(name, encode, decode)")
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


def find_codec(name: str, *, plugins: bool = True) -> Codec:
    """Return the codec of this name; loads the plug-in that has it, if no other does.

    Args:
        name: The codec's name. Nothing is imported by it: a plug-in is found by the name of its entry point.
        plugins: Whether a plug-in may be loaded.

    Raises:
        CodecError: None is registered here under that name, and no plug-in has it.
        PluginError: The plug-in that has it cannot be used.
    """
    codec = _by_name.get(name)
    if codec is not None:
        return codec
    if name in _on_demand:
        return _on_demand[name]()
    if name == PRIVATE_CODEC:
        raise CodecError(
            "the object was encoded by a serializer that only its producer has",
            remedy="pass the matching deserializer, or register both as a codec in every process",
        )
    if plugins and is_codec_name(name):
        return _of_plugin(name)
    raise _unknown(name)


def _unknown(name: str, installed: tuple[str, ...] = ()) -> CodecError:
    return CodecError(
        f"no codec {name[:64]!r} is registered here",
        found=sorted({*_by_name, *_on_demand, *installed}),
        remedy="install the plug-in that brings it, or import the module that calls psk.register_codec",
    )


def _of_plugin(name: str) -> Codec:
    from psk.plugins import broken, find, load_target
    from psk.plugins.descriptions import CodecPlugin

    try:
        codec = load_target("codec", name)
    except UnknownPluginError as error:
        raise _unknown(name, error.found) from None
    if not isinstance(codec, Codec) or codec.name != name:
        raise broken("codec", name, f"names {codec!r:.80} as its codec, which is no psk.wire.Codec of that name")
    described = find("codec", name)
    codec = _by_name.setdefault(name, codec)
    if isinstance(described, CodecPlugin):
        _awaited.update(dict.fromkeys(described.types, codec))
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
    if _awaited:
        _claim_types()
        if kind in _by_type:
            return _by_type[kind]
    return _codec_of_tensor(obj) if "torch" in _modules and _name_of_type(kind) in _TENSORS else PICKLE


def _codec_of_tensor(obj: object) -> Codec:
    if not is_loaded("torch"):
        return PICKLE
    try:
        from psk.wire.tensors import CODEC, encodable
    except (ImportError, AttributeError, OSError):  # something else of that name, or another version
        return PICKLE
    return CODEC if encodable(obj) else PICKLE


def _claim_types() -> None:
    """Give the codecs of loaded plug-ins the types that they asked for and that exist by now; imports nothing."""
    for place, codec in list(_awaited.items()):
        module, _, name = place.partition(":")
        kind = vars(_modules[module]).get(name) if is_loaded(module) else None
        if isinstance(kind, type):
            # A type that has its codec keeps it: what was stored as one thing must not come back as another.
            _by_type.setdefault(kind, codec)
            _awaited.pop(place, None)
