"""Which bytes does a range mean? Offsets count over the whole payload, as it would lie in one buffer."""

from __future__ import annotations

from psk.connectors.key import shown
from psk.errors import InvalidArgumentError


def check_range(offset: object, length: object) -> None:
    """Make sure that a range makes sense.

    Raises:
        InvalidArgumentError: Offset or length is no integer of 0 or more.
    """
    for name, value in (("offset", offset), ("length", length)):
        if not isinstance(value, int) or value < 0:
            raise InvalidArgumentError(
                f"{shown(value)} is no {name} of a range", remedy="give a number of bytes, 0 or more"
            )
