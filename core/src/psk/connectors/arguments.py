"""Check the arguments that every connector takes: keys, claims, ranges, timeouts and times to live.

Everything is checked before the channel is touched, and no message shows more than about 100 characters of a value.
"""

from __future__ import annotations

import math
import re
import sys
import time
from typing import TYPE_CHECKING, Final, TypeAlias

from psk.errors import DeadlineError, InvalidArgumentError, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

Key: TypeAlias = str

OBJECT_ID_BYTES = 16
OBJECT_ID_DIGITS = 2 * OBJECT_ID_BYTES
DURABILITIES: Final = ("volatile", "host", "disk", "replicated")
"""The levels that a channel can promise, weakest first (docs/contract.md, C30)."""

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds a call may take by default: enough for gigabytes on a slow disk, but finite."""

LONGEST_CLAIM = 128
LONGEST_SECONDS = 3.2e9
"""About a century. More is a mistake, and file systems cannot represent it."""

_SHOWN_CHARACTERS = 60

_is_key = re.compile(r"[0-9a-f]{32}(?:@[A-Za-z0-9._~@:+-]{1,63})?").fullmatch
is_plain_key = re.compile(r"[0-9a-f]{32}").fullmatch
_is_claim = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_CLAIM}}}").fullmatch


def shown(value: object) -> str:
    """Describe a value that may be hostile or huge, in about 100 characters at most."""
    if isinstance(value, str | bytes):
        text = ascii(value[:_SHOWN_CHARACTERS])[: _SHOWN_CHARACTERS + 20]
        return text if len(value) <= _SHOWN_CHARACTERS else f"{text}... ({len(value)} long)"
    if type(value) in {int, float, bool, type(None)}:
        return repr(value)[: _SHOWN_CHARACTERS + 20]
    return f"an object of type {type(value).__name__[:_SHOWN_CHARACTERS]}"


def listed(keys: Sequence[str]) -> str:
    """Name the keys of a call in a few words, for messages."""
    if len(keys) == 1:
        return keys[0]
    return f"any of {len(keys)} keys, {keys[0]} the first of them" if keys else "no key at all"


def validate_key(key: object) -> Key:
    """Return the key if it is valid.

    Raises:
        InvalidKeyError: It is not a `str` of the form `<object id>` or `<object id>@<where>`.
    """
    if isinstance(key, str) and _is_key(key):
        return key
    raise InvalidKeyError(
        f"{shown(key)} is not a key",
        remedy="pass on what `put` returned: 32 lower-case hexadecimal digits, perhaps followed by @<where>",
    )


def validate_plain_key(key: object) -> Key:
    """Return the key if it is an object id alone, the only kind that a channel without places makes.

    Raises:
        InvalidKeyError: It is not a key, or it names a place.
    """
    if isinstance(key, str) and is_plain_key(key):
        return key
    validate_key(key)
    raise InvalidKeyError(
        f"the key {shown(key)} names a place, and this channel has none",
        remedy="get it through the connector that made it",
    )


def key_of(object_id: object) -> Key:
    """Return the key of a 16-byte object id, without a place.

    Raises:
        InvalidArgumentError: It is not 16 bytes.
    """
    if isinstance(object_id, bytes) and len(object_id) == OBJECT_ID_BYTES:
        return object_id.hex()
    raise InvalidArgumentError(
        f"{shown(object_id)} is not an object id",
        remedy="pass 16 bytes, as psk.wire.new_object_id() makes them",
    )


def check_object_id(key: Key, object_id: bytes) -> None:
    """Check that a payload belongs to a key.

    Raises:
        InvalidKeyError: The key begins with a different object id.
    """
    if key[:OBJECT_ID_DIGITS] != object_id.hex():
        raise InvalidKeyError(
            f"the key {shown(key)} belongs to a different object",
            found=[f"payload of object {object_id.hex()}"],
            remedy="encode the object with the id that was reserved",
        )


def check_claim(claim: object) -> str:
    """Return the claim if it is valid.

    Raises:
        InvalidArgumentError: It is not 1 to 128 printable ASCII characters.
    """
    if isinstance(claim, str) and _is_claim(claim):
        return claim
    raise InvalidArgumentError(
        f"{shown(claim)} is not a claim", remedy=f"use 1 to {LONGEST_CLAIM} printable ASCII characters"
    )


def check_range(offset: object, length: object) -> None:
    """Check a range; offsets count over the whole payload, as it would lie in one buffer.

    Raises:
        InvalidArgumentError: Offset or length is not an integer of 0 or more.
    """
    for name, value in (("offset", offset), ("length", length)):
        if not isinstance(value, int) or value < 0:
            raise InvalidArgumentError(
                f"{shown(value)} is not a valid {name} of a range", remedy="give a number of bytes, 0 or more"
            )


def check_size(nbytes: object) -> int:
    """Return a number of bytes to allocate.

    Raises:
        InvalidArgumentError: It is not an integer of 1 or more, or is more than any memory has.
    """
    if type(nbytes) is int and 0 < nbytes <= sys.maxsize:
        return nbytes
    raise InvalidArgumentError(
        f"{shown(nbytes)} is not the size of a payload", remedy="give a number of bytes, 1 or more"
    )


def deadline_after(timeout: float | None, default: float) -> float:
    """Return when a call that may take `timeout` seconds must end, by `time.monotonic`.

    Args:
        timeout: Seconds from now, 0 or more; None means `default`.
        default: Seconds, finite.

    Raises:
        InvalidArgumentError: `timeout` is not a finite number of 0 or more.
    """
    if timeout is None:
        return time.monotonic() + default
    return time.monotonic() + _seconds("timeout", timeout, at_least=0.0)


def check_timeout(timeout: float | None) -> None:
    """Check a timeout, for calls that never wait."""
    if timeout is not None:
        _seconds("timeout", timeout, at_least=0.0)


def check_ttl(ttl: float, name: str = "ttl") -> float:
    """Return a time to live in seconds.

    Raises:
        InvalidArgumentError: It is not a positive finite number, or is more than a century.
    """
    return _seconds(name, ttl, at_least=1e-9)


def expired(deadline: float, doing: str) -> None:
    """Raise DeadlineError if the deadline has passed.

    Args:
        deadline: As `deadline_after` returned it.
        doing: What was not finished, naming key and channel.
    """
    if time.monotonic() > deadline:
        raise deadline_error(doing)


def deadline_error(doing: str) -> DeadlineError:
    """Build the error for what was not finished in time."""
    return DeadlineError(f"no time left while {doing}", remedy="give a longer timeout=")


def _seconds(name: str, value: object, *, at_least: float) -> float:
    if isinstance(value, int | float) and at_least <= value <= LONGEST_SECONDS and math.isfinite(value):
        return float(value)
    raise InvalidArgumentError(
        f"{shown(value)} is not a valid {name}",
        remedy=f"give seconds as a number from {at_least:g} to {LONGEST_SECONDS:g}, or None",
    )
