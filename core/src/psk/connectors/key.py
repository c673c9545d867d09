"""What does a key look like? `<object id>` or `<object id>@<where>`; anything else is refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, TypeAlias

from psk.errors import InvalidArgumentError, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Sequence

Key: TypeAlias = str

OBJECT_ID_BYTES = 16
OBJECT_ID_DIGITS = 2 * OBJECT_ID_BYTES
SHOWN_CHARACTERS = 60

_match = re.compile(r"[0-9a-f]{32}(?:@[A-Za-z0-9._~@:+-]{1,63})?").fullmatch
_match_plain = re.compile(r"[0-9a-f]{32}").fullmatch

_REMEDY = "pass on what `put` returned: 32 lower-case hexadecimal digits, perhaps followed by @<where>"


def shown(value: object) -> str:
    """Describe a value that may be hostile or huge, in about 100 characters at most."""
    if isinstance(value, str | bytes):
        text = ascii(value[:SHOWN_CHARACTERS])[: SHOWN_CHARACTERS + 20]
        return text if len(value) <= SHOWN_CHARACTERS else f"{text}... ({len(value)} long)"
    if type(value) in {int, float, bool, type(None)}:
        return repr(value)[: SHOWN_CHARACTERS + 20]
    return f"an object of type {type(value).__name__[:SHOWN_CHARACTERS]}"


def listed(keys: Sequence[str]) -> str:
    """Name the keys of a call in a few words, for messages."""
    if len(keys) == 1:
        return keys[0]
    return f"any of {len(keys)} keys, {keys[0]} the first of them" if keys else "no key at all"


def validate_key(key: object) -> Key:
    """Return the key if it is one.

    Raises:
        InvalidKeyError: It is not text, or not of the form `<object id>` or `<object id>@<where>`.
    """
    if isinstance(key, str) and _match(str(key)):
        return key
    raise InvalidKeyError(f"{shown(key)} is not a key", remedy=_REMEDY)


def validate_plain_key(key: object) -> Key:
    """Return the key if it is a bare object id, the only kind a channel without places makes.

    Raises:
        InvalidKeyError: It is no key, or it names a place.
    """
    if isinstance(key, str) and _match_plain(key):
        return key
    if "@" in validate_key(key):
        raise InvalidKeyError(
            f"the key {shown(key)} names a place, and this channel has none",
            remedy="get it through the connector that made it",
        )
    raise AssertionError  # pragma: no cover  a valid key without "@" matched above


def key_of(object_id: object) -> Key:
    """Return the bare key of a 16-byte object id.

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
    """Make sure that a payload belongs under a key.

    Raises:
        InvalidKeyError: The key begins with another object id.
    """
    if key[:OBJECT_ID_DIGITS] != object_id.hex():
        raise InvalidKeyError(
            f"the key {shown(key)} belongs to another object",
            found=[f"payload of object {object_id.hex()}"],
            remedy="encode the object with the id that was reserved",
        )
