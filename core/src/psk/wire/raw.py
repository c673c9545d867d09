"""Encode bytes, bytearray, str and memoryview without pickle."""

from __future__ import annotations

import struct
from math import prod
from typing import TYPE_CHECKING, Any

from psk.errors import PayloadError, SerializationError
from psk.wire.codec import Codec

if TYPE_CHECKING:
    from psk.wire.buffers import Frame

_CASTABLE = frozenset("cbBhHiIlLqQnNfd?P")
_LARGEST_ROW = 1 << 20


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
