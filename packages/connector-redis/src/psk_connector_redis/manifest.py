"""The manifest of a payload that is longer than a server's longest string: its header, and where its parts are."""

from __future__ import annotations

import os
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple, Self

from psk.connectors import HEADER_BYTES
from psk.errors import ChannelDataError, ChannelFullError
from psk_connector_redis.protocol import LONGEST_STRING
from psk_connector_redis.scripts import MANIFEST_MAGIC, PAYLOAD_MAGIC

if TYPE_CHECKING:
    from psk.connectors import Key
    from psk_connector_redis.channel import Names

_NONCE_BYTES = 8
_REST = Struct(f"<QQ{2 * _NONCE_BYTES}s")

MANIFEST_BYTES = HEADER_BYTES + _REST.size
"""Size of a manifest."""

MOST_PARTS = 4096
"""Most parts of a payload: a terabyte."""


class Manifest(NamedTuple):
    """The parts of one payload.

    Attributes:
        header: The first bytes of the payload.
        nbytes: Size of the payload.
        part_bytes: Size of each part but the last.
        nonce: Part of the names of these parts, and of no other upload.
    """

    header: bytes
    nbytes: int
    part_bytes: int
    nonce: bytes

    @classmethod
    def new(cls, header: bytes, nbytes: int, part_bytes: int) -> Self:
        """Describe parts that are still to be uploaded.

        Raises:
            ChannelFullError: They would be too many.
        """
        if nbytes > part_bytes * MOST_PARTS:
            raise ChannelFullError(
                f"an object of {nbytes} bytes is too long for Redis",
                found=[f"{MOST_PARTS} parts of {part_bytes} bytes at most"],
                remedy="split it into several objects",
            )
        return cls(header, nbytes, part_bytes, os.urandom(_NONCE_BYTES).hex().encode())

    @classmethod
    def read(cls, key: Key, stored: object) -> Self:
        """Read a stored manifest.

        Raises:
            ChannelDataError: It is damaged, or not a manifest.
        """
        if type(stored) is bytes and len(stored) == MANIFEST_BYTES and stored.startswith(MANIFEST_MAGIC):
            nbytes, part_bytes, nonce = _REST.unpack_from(stored, HEADER_BYTES)
            sensible = 0 < part_bytes <= LONGEST_STRING and part_bytes < nbytes <= part_bytes * MOST_PARTS
            if sensible and nonce.isalnum():
                header = PAYLOAD_MAGIC + stored[len(MANIFEST_MAGIC) : HEADER_BYTES]
                return cls(header, nbytes, part_bytes, nonce)
        raise ChannelDataError(
            f"the list of the parts of object {key} is damaged", remedy="evict it, and put the object again"
        )

    def write(self) -> bytes:
        """Return the manifest as it is stored."""
        rest = _REST.pack(self.nbytes, self.part_bytes, self.nonce)
        return MANIFEST_MAGIC + self.header[len(PAYLOAD_MAGIC) :] + rest

    @property
    def part_count(self) -> int:
        """The number of parts."""
        return -(-self.nbytes // self.part_bytes)

    def size(self, number: int) -> int:
        """Return the size of a part."""
        return min(self.part_bytes, self.nbytes - number * self.part_bytes)

    def names(self, names: Names, key: Key) -> list[bytes]:
        """Return the names of the parts."""
        return [names.part(key, self.nonce, number) for number in range(self.part_count)]


def is_manifest(stored: object) -> bool:
    """Tell whether what is stored for an object is a manifest."""
    return type(stored) is bytes and stored.startswith(MANIFEST_MAGIC)


def part_names(names: Names, key: Key, manifest: bytes) -> list[bytes]:
    """Return the names of an object's parts; none if the manifest is damaged, which must not prevent its removal."""
    try:
        return Manifest.read(key, manifest).names(names, key)
    except ChannelDataError:
        return []
