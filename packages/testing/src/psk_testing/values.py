"""Which objects do the tests put, and how do they read them? Without libraries: bytes, and frames of bytearrays."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

from psk.wire import Payload, decode, encode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.wire import Frames

MISSING: Final = "0" * 32
"""A key under which nothing stands."""

HOSTILE_KEYS: Final = (
    "",
    "..",
    "../" + MISSING,
    "/etc/passwd",
    MISSING + "\0",
    MISSING + "\n",
    MISSING.replace("0", "A"),
    "0" * 31,
    "0" * 33,
    "0" * 4096,
    "é" * 32,
    "\uff10" * 32,
    "\ud800" * 32,
    MISSING + "@",
    MISSING + "@/etc",
    MISSING + "@" + "x" * 64,
    MISSING.encode(),
    None,
    7,
    (MISSING,),
    [MISSING],
)
"""What is no key."""


def value_of(frames: Frames) -> object:
    """Read what a connector returned as a store does: parsed, verified, decoded."""
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


def same(one: object, other: object) -> bool:
    """Compare what may be large: where pytest prints in full, as in CI, the difference of two `==` takes minutes."""
    return one == other


def framed(parts: Sequence[bytearray], *, object_id: bytes | None = None, checksum: bool = True) -> Payload:
    """Encode byte arrays as an object with a frame for each that has at least 4 KiB, as arrays are."""
    return encode([PickleBuffer(part) for part in parts], object_id=object_id, checksum=checksum)


def parts_of(frames: Frames) -> list[memoryview]:
    """Give the parts of an object that `framed` encoded, or a memoryview, writable and without a copy of their own."""
    value: Any = value_of(frames)
    return [memoryview(part) for part in (value if isinstance(value, list) else [value])]


def pattern(nbytes: int, start: int = 0) -> bytearray:
    """Make bytes in which no two neighbours are equal, so that a shifted or repeated part is noticed."""
    return bytearray((bytes(range(start % 251, 251)) + bytes(range(251))) * (nbytes // 251 + 1))[:nbytes]
