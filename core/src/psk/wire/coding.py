"""How does an object become a payload, and a payload an object again?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.errors import CodecRefusedError, SerializationError
from psk.plugins.importing import on_demand
from psk.wire.payload import Payload
from psk.wire.pickling import CLOUDPICKLE, PICKLE
from psk.wire.registry import codec_for, find_codec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire.codec import Codec
    from psk.wire.frames import Frame
    from psk.wire.signing import SigningKey


def encode(
    obj: object,
    *,
    codec: str | None = None,
    object_id: bytes | None = None,
    revision: int = 0,
    checksum: bool = True,
    expires: bool = False,
    signing_key: SigningKey | None = None,
) -> Payload:
    """Encode an object; its large buffers are not copied, so it must not change until the payload is written.

    Args:
        obj: Any object that has a codec or can be pickled.
        codec: Name of the codec to use; None chooses by exact type, then pickle, then cloudpickle if
            it is installed.
        object_id: 16 bytes, the new object's id; None makes one.
        revision: 0 for a new object; an update counts up.
        checksum: Whether to compute a CRC-32, at the price of one pass over the bytes.
        expires: Whether the object will have a time to live, so that no reader may keep it.
        signing_key: Key to sign with; None leaves the payload unsigned.

    Raises:
        SerializationError: The object cannot be encoded; the message names what inside it cannot.
        CodecError: No codec of that name is registered.
    """
    chosen = codec_for(obj) if codec is None else find_codec(codec)
    name = chosen.name
    try:
        frames = chosen.encode(obj)
    except (MemoryError, SerializationError):
        raise
    except RecursionError as error:
        raise SerializationError(
            f"an object of type {type(obj).__qualname__} is nested too deeply to encode",
            remedy="nest it less deeply, or raise the limit with sys.setrecursionlimit",
        ) from error
    except Exception as error:  # noqa: BLE001  # an object's own methods raise anything
        name, frames = _second_try(obj, chosen, error, any_codec=codec is None)
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
        from psk.wire.culprit import describe_failure  # only failures need it

    if codec is not PICKLE or not any_codec:
        raise describe_failure(obj, codec.name, error) from error
    try:
        return CLOUDPICKLE.name, CLOUDPICKLE.encode(obj)
    except MemoryError:
        raise
    except Exception as second:  # noqa: BLE001  # pickling runs any code, which raises anything
        # Kept in no variable that outlives this block: a traceback that holds itself holds the object's memory.
        raise describe_failure(obj, codec.name, error, second) from error


def decode(payload: Payload, *, allowed: str = "any", codec: Codec | None = None) -> object:
    """Decode a payload that was parsed and verified; the object owns its memory, and shares none.

    Args:
        payload: The payload. Its writable buffers become the object's memory, so decode it once.
        codec: The codec to use instead of the one that the payload names.
        allowed: "any" codec, or "raw" to refuse codecs that can run code a payload chooses: pickle above all.

    Raises:
        PayloadError: The frames are not what the codec wrote, or need a class that cannot be imported here.
        CodecError: No codec of the payload's name is registered here, and no plug-in has it.
        PluginError: The plug-in that has it cannot be used.
        CodecRefusedError: The codec is not among those allowed.
    """
    if codec is None:
        # Where only raw codecs may decode, bytes from outside do not choose what is imported.
        codec = find_codec(payload.codec, plugins=allowed == "any")
    if allowed != "any" and not (allowed == "raw" and codec.raw):
        raise CodecRefusedError(
            f"payload {payload.key} has the codec {codec.name!r}, and only {allowed!r} codecs are allowed",
            remedy="allow 'any' codec only if you trust whoever can write to this channel",
        )
    frames = payload.frame_views(private=not codec.copies)
    try:
        return codec.decode(frames)
    except Exception as error:
        with on_demand:
            from psk.wire.culprit import describe_unreadable

        raise describe_unreadable(payload.key, codec.name, frames, error) from error
