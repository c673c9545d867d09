"""What names a claimant? A short printable text, the same at each of its attempts."""

from __future__ import annotations

import re

from psk.connectors.key import shown
from psk.errors import InvalidArgumentError

LONGEST_CLAIM = 128

_match = re.compile(rf"[\x20-\x7e]{{1,{LONGEST_CLAIM}}}").fullmatch


def check_claim(claim: object) -> str:
    """Return the claim if it is one.

    Raises:
        InvalidArgumentError: It is not 1 to 128 printable ASCII characters.
    """
    if isinstance(claim, str) and _match(claim):
        return claim
    raise InvalidArgumentError(
        f"{shown(claim)} is no claim", remedy=f"use 1 to {LONGEST_CLAIM} printable ASCII characters"
    )
