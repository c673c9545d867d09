"""Read payloads as they are stored: as one string, or in parts that a manifest under the object's name lists."""

from __future__ import annotations

import os
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from psk.connectors import HEADER_BYTES, Frames, allocate, is_same_payload
from psk.connectors.toolkit import Summing
from psk.errors import ChannelDataError, ChannelFullError, KeyExistsError, PayloadError
from psk_connector_redis.protocol import LONGEST_STRING, Refusal, accepted, pack
from psk_connector_redis.scripts import MANIFEST_MAGIC, PAYLOAD_MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel, Names
    from psk_connector_redis.connection import Connection

_MOST_CHANGES: Final = 8
_REMEDY: Final = "evict it, and put the object again"
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
        raise ChannelDataError(f"the list of the parts of object {key} is damaged", remedy=_REMEDY)

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


def get_object(channel: Channel, key: Key, deadline: float) -> Frames | None:
    """Fetch a payload into private memory; None without an object."""
    command = (channel.commands.get(key),)
    doing = f"getting {key}"

    summing: Summing | None = None

    def reach(whole: memoryview, end: int) -> None:
        nonlocal summing
        summing = summing or Summing()
        summing.reach(whole, end)

    def exchange(connection: Connection) -> Any:
        nonlocal summing
        summing = None
        connection.send(command, deadline)
        stored = connection.reply_into(deadline, reach=reach)
        if type(stored) is Refusal:
            raise stored
        return stored

    manifest: Manifest | None = None
    for _ in range(_MOST_CHANGES):
        stored = channel.run(exchange, name=channel.names.of(key), deadline=deadline, doing=doing)
        if stored is None:
            return None
        if is_manifest(stored):
            before, manifest = manifest, Manifest.read(key, stored)
            if manifest == before:
                break
            stored = read_parts(channel, key, manifest, range(manifest.nbytes), deadline, reach=reach)
            if stored is None:
                continue
        whole = as_string(key, stored)
        return Frames([whole], None if summing is None else summing.of(whole))
    raise PayloadError(f"parts of object {key} are missing", remedy=_REMEDY)


def get_range(channel: Channel, key: Key, offset: int, length: int, deadline: float) -> memoryview | None:
    """Fetch up to `length` bytes of a payload from `offset` on into private memory; None without an object."""
    name = channel.names.of(key)
    # No string is longer, and the server counts in 64 bits.
    end = min(offset + length, LONGEST_STRING)
    first, last = (offset, end - 1) if offset < end else (1, 0)
    commands = (
        pack(b"GETRANGE", name, b"%d" % first, b"%d" % last)
        + pack(b"GETRANGE", name, b"0", b"%d" % (MANIFEST_BYTES - 1))
        + pack(b"STRLEN", name),
    )

    def exchange(connection: Connection) -> tuple[Any, Any, Any]:
        connection.send(commands, deadline)
        part = accepted(connection.reply_into(deadline), bytes, memoryview)
        start, size = connection.replies(2, deadline)
        return part, accepted(start, bytes), accepted(size, int)

    for _ in range(_MOST_CHANGES):
        part, start, size = channel.run(exchange, name=name, deadline=deadline, doing=f"getting a part of {key}")
        if is_manifest(start):
            manifest = Manifest.read(key, start)
            wanted = range(min(offset, manifest.nbytes), min(offset + length, manifest.nbytes))
            if (found := read_parts(channel, key, manifest, wanted, deadline)) is not None:
                return found
        elif part or not offset < min(size, end):
            return memoryview(part) if size else None
    raise PayloadError(f"parts of object {key} are missing", remedy=_REMEDY)


def as_string(key: Key, stored: object) -> bytes | memoryview:
    """Return what a server answered, if it is a string."""
    if isinstance(stored, bytes | memoryview):
        return stored
    raise ChannelDataError(
        f"the server's answer for object {key} is not a string", remedy="check which server listens there"
    )


def is_stored(channel: Channel, connection: Connection, payload: Payload, deadline: float) -> bool:
    """Compare what is stored under a payload's name with the payload: True if it is equal, False if there is nothing.

    Raises:
        KeyExistsError: It differs.
    """
    key = payload.key
    name = channel.names.of(key)

    def read_string(of: bytes, nbytes: int, offset: int) -> bytes | memoryview:
        connection.send((pack(b"GETRANGE", of, b"%d" % offset, b"%d" % (offset + nbytes - 1)),), deadline)
        answer: bytes | memoryview = accepted(connection.reply_into(deadline), bytes, memoryview)
        return answer

    start = bytes(read_string(name, MANIFEST_BYTES, 0))
    if not start:
        connection.send((pack(b"EXISTS", name),), deadline)
        if accepted(connection.reply(deadline), int) == 0:
            return False  # else it is an empty string, which is not a payload
    manifest = Manifest.read(key, start) if is_manifest(start) else None

    def read(nbytes: int, offset: int) -> bytes | memoryview:
        if manifest is None:
            return read_string(name, nbytes, offset)
        if offset + nbytes <= HEADER_BYTES:
            return manifest.header[offset : offset + nbytes]
        if offset >= manifest.nbytes:
            return b""
        number, place = divmod(offset, manifest.part_bytes)
        piece = read_string(manifest.names(channel.names, key)[number], nbytes, place)
        if 0 < len(piece) < nbytes:
            return b"".join((piece, read(nbytes - len(piece), offset + len(piece))))
        return piece

    if is_same_payload(payload.buffers(), read):
        return True
    raise KeyExistsError(
        f"key {key} holds a different object",
        found=[channel.server.describe()],
        remedy="encode the object again, or evict the other one",
    )


class _Piece(NamedTuple):
    """Some bytes of one part: its number, where they begin in it, where in what is wanted, and how many there are."""

    number: int
    start: int
    place: int
    size: int


def read_parts(
    channel: Channel,
    key: Key,
    manifest: Manifest,
    wanted: range,
    deadline: float,
    *,
    reach: Callable[[memoryview, int], None] | None = None,
) -> memoryview | None:
    """Fetch some bytes of a payload in parts.

    Args:
        channel: Where it is stored.
        key: The object.
        manifest: Its parts.
        wanted: Which bytes.
        deadline: When it must be over.
        reach: Is told up to where what is wanted has arrived, again and again.

    Returns:
        Private memory with them; None if a part is missing.
    """
    names = manifest.names(channel.names, key)
    pieces = list(_pieces(manifest, wanted))
    if not pieces:
        return allocate(0)
    doing = f"getting {key}"
    # What a manifest claims is not believed: memory is allocated for what the server holds.
    sizes = channel.run(
        partial(_sizes, [names[piece.number] for piece in pieces], deadline),
        name=names[0],
        deadline=deadline,
        doing=doing,
    )
    if 0 in sizes:
        return None
    if any(size != manifest.size(piece.number) for piece, size in zip(pieces, sizes, strict=True)):
        raise ChannelDataError(f"a part of object {key} has changed its length", remedy=_REMEDY)
    whole = allocate(len(wanted))
    for piece in pieces:
        fetch = partial(_fetch, names[piece.number], piece, whole, deadline, reach=reach)
        if not channel.run(fetch, name=names[0], deadline=deadline, doing=doing):
            return None
    return whole


def _pieces(manifest: Manifest, wanted: range) -> Iterator[_Piece]:
    place = 0
    while place < len(wanted):
        number, start = divmod(wanted.start + place, manifest.part_bytes)
        size = min(manifest.size(number) - start, len(wanted) - place)
        yield _Piece(number, start, place, size)
        place += size


def _sizes(names: Sequence[bytes], deadline: float, connection: Connection) -> list[int]:
    connection.send([pack(b"STRLEN", name) for name in names], deadline)
    return [accepted(size, int) for size in connection.replies(len(names), deadline)]


def _fetch(
    name: bytes,
    piece: _Piece,
    whole: memoryview,
    deadline: float,
    connection: Connection,
    *,
    reach: Callable[[memoryview, int], None] | None,
) -> bool:
    """Fill one piece; tell whether it was there, as long as before."""
    place = whole[piece.place : piece.place + piece.size]

    def memory(nbytes: int) -> memoryview:
        return place if nbytes == piece.size else allocate(nbytes)

    def reach_piece(_: memoryview, end: int) -> None:
        if reach is not None:
            reach(whole, piece.place + end)

    last = piece.start + piece.size - 1
    connection.send((pack(b"GETRANGE", name, b"%d" % piece.start, b"%d" % last),), deadline)
    stored = accepted(connection.reply_into(deadline, memory, reach_piece), bytes, memoryview)
    if len(stored) != piece.size:
        return False
    if stored is not place:
        place[:] = stored
    reach_piece(place, piece.size)
    return True
