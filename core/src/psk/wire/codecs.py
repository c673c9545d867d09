"""Encode and decode objects, each by the codec that its type or its payload asks for."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.errors import CodecError, CodecRefusedError, PluginError, SerializationError, UnknownPluginError
from psk.plugins.builtin import CODEC_TYPES, CODECS
from psk.plugins.importing import on_demand
from psk.wire.codec import BYTEARRAY, BYTES, CODEC_RULE, MEMORY, STR, Codec, is_codec_name
from psk.wire.payload import Payload
from psk.wire.pickling import CLOUDPICKLE, PICKLE, add_reducers, is_loaded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.codec import Frame
    from psk.wire.signing import SigningKey

PRIVATE_CODEC = "private"
"""Name for what a callable serializer made: only the matching deserializer can read it, and no codec."""

_modules = sys.modules
_by_name = {codec.name: codec for codec in (BYTES, BYTEARRAY, STR, MEMORY, PICKLE, CLOUDPICKLE)}
_by_type: dict[type, Codec] = {bytes: BYTES, bytearray: BYTEARRAY, str: STR, memoryview: MEMORY}
_awaited = {place: name for name, places in CODEC_TYPES.items() for place in places}
"""By `module:type`, the names of codecs for types whose modules are not imported yet."""
_modules_seen = [0]
"""Number of modules when the awaited types were last looked up; -1 if they must be looked up again."""


def encode(
    obj: object,
    *,
    codec: str | Codec | None = None,
    object_id: bytes | None = None,
    revision: int = 0,
    checksum: bool = True,
    expires: bool = False,
    signing_key: SigningKey | None = None,
) -> Payload:
    """Encode an object; its large buffers are not copied, so it must not change until the payload is written.

    Args:
        obj: Any object that has a codec or can be pickled.
        codec: The codec to use, or its name; None chooses by exact type, then pickle, then cloudpickle if it is
            installed.
        object_id: 16 bytes, the new object's id; None makes one.
        revision: 0 for a new object; an update counts up.
        checksum: Whether to compute a CRC-32, at the price of one pass over the bytes.
        expires: Whether the object will have a time to live, so that no reader may keep it.
        signing_key: Key to sign with; None leaves the payload unsigned.

    Raises:
        SerializationError: The object cannot be encoded; the message names what inside it cannot.
        CodecError: No codec of that name is registered.
    """
    any_codec = codec is None
    if codec is None:
        codec = codec_for(obj)
    elif isinstance(codec, str):
        codec = find_codec(codec)
    name = codec.name
    try:
        frames = codec.encode(obj)
    except (MemoryError, SerializationError):
        raise
    except RecursionError as error:
        raise SerializationError(
            f"an object of type {type(obj).__qualname__} is nested too deeply to encode",
            remedy="nest it less deeply, or raise the limit with sys.setrecursionlimit",
        ) from error
    except Exception as error:  # noqa: BLE001  # an object's own methods raise anything
        name, frames = _second_try(obj, codec, error, any_codec=any_codec)
    return Payload.build(
        name,
        frames,
        object_id=object_id,
        revision=revision,
        checksum=checksum,
        expires=expires,
        signing_key=signing_key,
    )


def _second_try(obj: object, codec: Codec, error: Exception, *, any_codec: bool) -> tuple[str, Sequence[Frame]]:
    with on_demand:
        from psk.wire.explain_failure import explain_encoding  # only failures need it

    if codec is not PICKLE or not any_codec:
        raise explain_encoding(obj, codec.name, error) from error
    try:
        return CLOUDPICKLE.name, CLOUDPICKLE.encode(obj)
    except MemoryError:
        raise
    except Exception as second:  # noqa: BLE001  # pickling runs any code, which raises anything
        # Kept in no variable that outlives this block: a traceback that holds itself holds the object's memory.
        raise explain_encoding(obj, codec.name, error, second) from error


def decode(payload: Payload, *, allowed: str = "any", codec: Codec | None = None) -> object:
    """Decode a payload that was parsed and verified into an object that shares its memory with no other.

    Args:
        payload: The payload. Its writable buffers become the object's memory, so decode it once.
        codec: The codec to use instead of the one that the payload names.
        allowed: "any" codec, or "raw" to refuse codecs that can run code that a payload chooses, such as pickle.

    Raises:
        PayloadError: The frames are not what the codec wrote, or need a class that cannot be imported here.
        CodecError: No codec of the payload's name is registered here, and no plug-in has it.
        PluginError: The plug-in that has it cannot be used.
        CodecRefusedError: The codec is not among those allowed.
    """
    if codec is None:
        # Where only raw codecs may decode, bytes from outside do not choose which plug-in is loaded.
        codec = _by_name.get(payload.codec) or find_codec(payload.codec, plugins=allowed == "any")
    if allowed != "any" and not (allowed == "raw" and codec.raw):
        raise CodecRefusedError(
            f"payload {payload.key} has the codec {codec.name!r}, and only {allowed!r} codecs are allowed",
            remedy="allow 'any' codec only if you trust everyone who can write to this channel",
        )
    frames = payload.frame_views(private=not codec.copies)
    try:
        return codec.decode(frames)
    except Exception as error:
        with on_demand:
            from psk.wire.explain_failure import explain_decoding

        raise explain_decoding(payload.key, codec.name, frames, error) from error


def codec_for(obj: object) -> Codec:
    """Return the codec for this object when none is asked for: that of its exact type, else pickle."""
    try:
        codec = _by_type.get(type(obj))
    except TypeError:  # a metaclass may make its classes unhashable
        return PICKLE
    if codec is None:
        if _modules_seen[0] == len(_modules):
            return PICKLE
        _claim_types()
        codec = _by_type.get(type(obj), PICKLE)
    return codec if codec.accepts is None or codec.accepts(obj) else PICKLE


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
        raise SerializationError(f"a codec cannot be named {codec.name!r:.64}", remedy=CODEC_RULE)
    for kind in types:
        if _by_type.get(kind, codec) is not codec:
            raise SerializationError(
                f"type {kind.__qualname__} already has the codec {_by_type[kind].name!r}",
                remedy="name the codec where you put the object instead",
            )
    taken = codec.name in CODECS and codec.name not in _by_name
    if taken or _by_name.setdefault(codec.name, codec) is not codec:
        raise SerializationError(
            f"another codec is registered as {codec.name!r}",
            found=sorted({*_by_name, *CODECS}),
            remedy="choose another name",
        )
    for kind in types:
        _by_type[kind] = codec


def find_codec(name: str, *, plugins: bool = True) -> Codec:
    """Return the codec of this name, from the plug-in that provides it if none is registered.

    Args:
        name: The codec's name. Nothing is imported by it: a plug-in is found by the name of its entry point.
        plugins: Whether a plug-in of another distribution may be loaded.

    Raises:
        CodecError: No registered codec and no plug-in has that name, or it cannot be loaded here.
        PluginError: The plug-in that has it cannot be used.
    """
    codec = _by_name.get(name)
    if codec is not None:
        return codec
    if name == PRIVATE_CODEC:
        raise CodecError(
            "the object was encoded by a serializer that only its producer has",
            remedy="pass the matching deserializer, or register both as a codec in every process",
        )
    if name in CODECS or (plugins and is_codec_name(name)):
        return _load(name)
    raise _unknown(name)


def _unknown(name: str, installed: tuple[str, ...] = ()) -> CodecError:
    return CodecError(
        f"no codec {name[:64]!r} is registered here",
        found=sorted({*_by_name, *CODECS, *installed}),
        remedy="install the plug-in that brings it, or import the module that calls psk.register_codec",
    )


def _load(name: str) -> Codec:
    from psk.plugins import broken, find, load_target

    try:
        codec = load_target("codec", name)
    except UnknownPluginError as error:
        raise _unknown(name, error.found) from None
    except PluginError:
        raise
    except (ImportError, AttributeError, OSError) as error:  # its library is missing, broken or of another version
        raise CodecError(
            f"the codec {name!r} cannot be loaded here: {error}", remedy=f"pip install {name}, or repair it"
        ) from error
    if not isinstance(codec, Codec) or codec.name != name:
        raise broken("codec", name, f"names {codec!r:.80} as its codec, which is not a psk.wire.Codec of that name")
    codec = _by_name.setdefault(name, codec)
    described: Any = find("codec", name)
    for place in described.types:
        _awaited.setdefault(place, name)
    add_reducers(described.reducers)
    _modules_seen[0] = -1
    return codec


def _claim_types() -> None:
    """Give codecs the awaited types whose modules have been imported by now; imports none of those modules."""
    seen = len(_modules)
    for place, name in list(_awaited.items()):
        module, _, attribute = place.partition(":")
        if module not in _modules:
            continue
        kind = vars(_modules[module]).get(attribute) if is_loaded(module) else None
        if not isinstance(kind, type):
            seen = -1
            continue
        with suppress(CodecError):  # a module that only has the name of the library, or another version: pickled
            # A type that has its codec keeps it: what was stored as one thing must not come back as another.
            _by_type.setdefault(kind, find_codec(name))
        _awaited.pop(place, None)
    _modules_seen[0] = seen
