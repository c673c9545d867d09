"""Define codecs, which turn objects into frames and back, and those of bytes, bytearray, str and memoryview."""

from __future__ import annotations

import re
import struct
from math import prod
from typing import TYPE_CHECKING, Any, TypeAlias

from psk.errors import PayloadError, SerializationError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

Buffer: TypeAlias = bytes | bytearray | memoryview
"""Contiguous bytes. Anything else that has the buffer protocol is wrapped in a memoryview first."""

Frame: TypeAlias = "Buffer | Sequence[Buffer]"
"""One frame to write: one buffer, or segments that are written back to back."""

CODEC_RULE = "use 1 to 32 of a-z 0-9 . _ -"
is_codec_name = re.compile(r"[a-z0-9._-]{1,32}").fullmatch
_CASTABLE = frozenset("cbBhHiIlLqQnNfd?P")
_LARGEST_ROW = 1 << 20


class Codec:
    """Name a pair of functions that encode and decode objects.

    Args:
        name: What payloads call it: 1 to 32 of a-z 0-9 . _ -
        encode: Returns an object's frames: views of its memory where that is possible. Raises
            SerializationError for an object that it cannot encode.
        decode: Returns the object over frames. A frame that was read-only when it was encoded is read-only;
            the others are writable and belong to the object, which should use them in place.
        raw: Whether decoding runs no code that the payload chooses, so that untrusted bytes may be decoded.
        copies: Whether decode makes its own memory anyway; then it gets shared frames as they are.
        accepts: Tells whether it encodes an object of one of its types when no codec is asked for; if not, the
            object is pickled. None accepts every object of its types.
    """

    __slots__ = ("accepts", "copies", "decode", "encode", "name", "raw")

    def __init__(
        self,
        name: str,
        encode: Callable[[Any], Sequence[Frame]],
        decode: Callable[[list[memoryview]], object],
        *,
        raw: bool = False,
        copies: bool = False,
        accepts: Callable[[Any], bool] | None = None,
    ) -> None:
        self.name = name
        self.encode = encode
        self.decode = decode
        self.raw = raw
        self.copies = copies
        self.accepts = accepts

    def __repr__(self) -> str:
        return f"Codec({self.name!r})"


def _encode_one(obj: bytes | bytearray) -> tuple[Frame]:
    return (obj,)


def _only(frames: list[memoryview]) -> memoryview:
    if len(frames) != 1:
        raise PayloadError("a raw payload has exactly one frame", found=[f"{len(frames)} frames"])
    return frames[0]


def _decode_bytes(frames: list[memoryview]) -> bytes:
    view = frames[0] if len(frames) == 1 else _only(frames)
    owner = view.obj
    # Bytes cannot change, so an object that is the whole frame need not be copied.
    return owner if type(owner) is bytes and len(owner) == view.nbytes else bytes(view)


def _decode_bytearray(frames: list[memoryview]) -> bytearray:
    view = _only(frames)
    owner = view.obj
    if type(owner) is bytearray and not view.readonly and len(owner) == view.nbytes:
        return owner
    return bytearray(view)


def _encode_str(obj: str) -> tuple[Frame]:
    return (obj.encode("utf-8", "surrogatepass"),)


def _decode_str(frames: list[memoryview]) -> str:
    return str(_only(frames), "utf-8", "surrogatepass")


def _encode_memory(obj: memoryview) -> tuple[Frame, Frame]:
    code, shape = obj.format.removeprefix("@"), obj.shape or ()
    if code not in _CASTABLE or 0 in shape[1:]:
        raise SerializationError(
            f"a memoryview of format {obj.format!r} and shape {shape} cannot be rebuilt elsewhere",
            found=["formats " + " ".join(sorted(_CASTABLE))],
            remedy="send the object behind it, or obj.cast('B')",
        )
    description = struct.pack(f"<cBB{obj.ndim}Q", code.encode(), obj.itemsize, obj.ndim, *shape)
    if obj.c_contiguous:
        return description, obj
    if obj.readonly:
        return description, obj.tobytes()
    return description, bytearray(obj)


def _decode_memory(frames: list[memoryview]) -> memoryview:
    description = frames[0]
    data: Any  # typeshed knows formats only as literals
    (data,) = frames[1:]
    code, itemsize, ndim = struct.unpack_from("<cBB", description)
    shape = struct.unpack(f"<{ndim}Q", description[3:])
    code = code.decode()
    if code not in _CASTABLE or struct.calcsize(code) != itemsize:
        raise PayloadError(f"items of format {code!r} and {itemsize} bytes do not exist on this machine")
    if 0 not in shape:
        return data.cast(code, shape)  # type: ignore[no-any-return]  # as above
    if data.nbytes or 0 in shape[1:]:
        raise PayloadError(f"a memoryview of shape {shape} holds no bytes", found=[f"{data.nbytes} bytes"])
    # memoryview.cast accepts no zero in a shape: make one row and cut it off.
    size = itemsize * prod(shape[1:])
    if size > _LARGEST_ROW:
        raise PayloadError(f"the rows of an empty memoryview of shape {shape} are too large")
    row: Any = memoryview(bytearray(size))  # as above
    rows: memoryview = row.cast(code, (1, *shape[1:]))[:0]
    return rows.toreadonly() if data.readonly else rows


BYTES = Codec("bytes", _encode_one, _decode_bytes, raw=True, copies=True)
BYTEARRAY = Codec("bytearray", _encode_one, _decode_bytearray, raw=True, copies=True)
STR = Codec("str", _encode_str, _decode_str, raw=True, copies=True)
MEMORY = Codec("memory", _encode_memory, _decode_memory, raw=True)
