"""Under which Redis names does an object stand? All of one object's in one slot of a cluster, by their braces."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from psk.connectors import Key

_match_object = re.compile(rb"\{([0-9a-f]{32})\}").fullmatch
_match_companion = re.compile(rb"\{([0-9a-f]{32})\}:(?:claim|part:[0-9a-z]+:[0-9]+)").fullmatch
_SPECIAL: Final = re.compile(rb"([\\*?\[\]])")


class Names:
    """The names of one channel.

    Args:
        prefix: What they begin with; without braces, which would take the place of ours.
    """

    __slots__ = ("_prefix",)

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode() + b":"

    def of(self, key: Key) -> bytes:
        """Return where the object stands: its payload, or the manifest of the parts that hold it."""
        return b"%b{%b}" % (self._prefix, key.encode())

    def claim(self, key: Key) -> bytes:
        """Return where it stands who has taken the object."""
        return b"%b{%b}:claim" % (self._prefix, key.encode())

    def part(self, key: Key, nonce: bytes, number: int) -> bytes:
        """Return where a part of a large payload stands; each upload has a nonce of its own."""
        return b"%b{%b}:part:%b:%d" % (self._prefix, key.encode(), nonce, number)

    def news(self, key: Key) -> bytes:
        """Return the channel on which the arrival of the object is published."""
        return b"%b{%b}:new" % (self._prefix, key.encode())

    @property
    def pattern(self) -> bytes:
        """What SCAN finds all names of this channel by, and some others: the prefix in it stands for itself."""
        return _SPECIAL.sub(rb"\\\1", self._prefix) + b"{*"

    def key_of(self, name: bytes) -> Key | None:
        """Return the key of the object that stands under a name; None if it is the name of anything else."""
        found = _match_object(name, len(self._prefix)) if name.startswith(self._prefix) else None
        return found[1].decode() if found else None

    def owner_of(self, name: bytes) -> Key | None:
        """Return the key of the object to which a claim or a part of this name belongs; None if it is neither."""
        found = _match_companion(name, len(self._prefix)) if name.startswith(self._prefix) else None
        return found[1].decode() if found else None
