"""Define a codec: what turns the objects of some types into frames and back."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.wire.buffers import Frame

CODEC_RULE = "use 1 to 32 of a-z 0-9 . _ -"
is_codec_name = re.compile(r"[a-z0-9._-]{1,32}").fullmatch


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
