"""Which names may stand in the wire format, for codecs and for signing keys?"""

from __future__ import annotations

import re
from functools import lru_cache

from psk.errors import PayloadError

CODEC_RULE = "use 1 to 32 of a-z 0-9 . _ -"
SIGNING_KEY_RULE = "use 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot"
is_codec_name = re.compile(r"[a-z0-9._-]{1,32}").fullmatch
is_signing_key_name = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}").fullmatch
is_distribution_name = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,62}[A-Za-z0-9])?").fullmatch


@lru_cache(maxsize=128)
def read_codec_name(encoded: bytes) -> str:
    """Return a codec's name as it stands in a payload.

    Raises:
        PayloadError: The format allows no such name.
    """
    name = encoded.decode("ascii", "replace")
    if not is_codec_name(name):
        raise PayloadError(f"a payload's codec name {encoded!r} is malformed", remedy="put the object again")
    return name


@lru_cache(maxsize=128)
def read_signing_key_name(encoded: bytes) -> str:
    """Return a signing key's name as it stands in a payload.

    Raises:
        PayloadError: The format allows no such name.
    """
    name = encoded.decode("ascii", "replace")
    if not is_signing_key_name(name):
        raise PayloadError(f"a payload's signing key name {encoded!r} is malformed", remedy="put the object again")
    return name
