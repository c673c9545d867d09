"""Read payloads as they are stored: as one string, or in parts that a manifest under the object's name lists."""

from __future__ import annotations

import os
from functools import partial
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from psk.connectors import HEADER_BYTES, Frames, Payload, allocate, has_checksum, is_same_payload
from psk.connectors.toolkit import Summing
from psk.errors import ChannelDataError, ChannelFullError, KeyExistsError, PayloadError
from psk_connector_redis.channel import FIRST_BYTES
from psk_connector_redis.protocol import LONGEST_STRING, Refusal, UnexpectedError, accepted, pack
from psk_connector_redis.scripts import MANIFEST_MAGIC, PAYLOAD_MAGIC

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.connectors import Key
    from psk_connector_redis.channel import Channel, Names
    from psk_connector_redis.connection import Connection

_PIECE_BYTES: Final = 1024 * 1024
_AHEAD_BYTES: Final = 4 * _PIECE_BYTES
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
    commands = channel.commands
    name = channel.names.of(key)
    doing = f"getting {key}"
    questions: tuple[bytes, ...] = (commands.get(key), commands.get_whole(key))
    manifest: Manifest | None = None
    for _ in range(_MOST_CHANGES):
        stored = channel.run(partial(_ask, questions, deadline), name=name, deadline=deadline, doing=doing)
        if stored is None:
            return None
        string = as_string(key, stored)
        if is_manifest(string):
            before, manifest = manifest, Manifest.read(key, string)
            if manifest == before:
                break
            summing = Summing()
            whole = read_parts(channel, key, manifest, range(manifest.nbytes), deadline, summing=summing)
            if whole is not None:
                return Frames([whole], summing.of(whole))
        elif len(string) != FIRST_BYTES or len(questions) == 1:
            return Frames([string])
        elif (frames := _continue(channel, name, memoryview(string), deadline, doing)) is not None:
            return frames
        questions = questions[-1:]
    raise PayloadError(f"parts of object {key} are missing", remedy=_REMEDY)


def _ask(questions: Sequence[bytes], deadline: float, connection: Connection) -> Any:
    """Return the first answer that is not an empty string, which is also the part of a string that does not exist."""
    stored: Any = None
    for question in questions:
        connection.send((question,), deadline)
        stored = connection.reply_into(deadline)
        if type(stored) is Refusal:
            raise stored
        if stored != b"":
            break
    return stored


def _continue(channel: Channel, name: bytes, first: memoryview, deadline: float, doing: str) -> Frames | None:
    """Fetch a payload of which the first piece is there; None if nothing proves that all pieces are of one payload."""
    if bytes(first[: len(PAYLOAD_MAGIC)]) != PAYLOAD_MAGIC or not has_checksum(first):
        return None

    def exchange(connection: Connection) -> Frames:
        # What the payload's header claims is not believed: memory is allocated for what the server holds.
        connection.send((pack(b"STRLEN", name),), deadline)
        nbytes: int = accepted(connection.reply(deadline), int)
        if nbytes < FIRST_BYTES:
            raise UnexpectedError
        whole, summing = allocate(nbytes), Summing()
        whole[:FIRST_BYTES] = first
        _fill(connection, name, 0, whole, deadline, filled=FIRST_BYTES, reach=partial(summing.reach, whole))
        return Frames([whole], summing.of(whole))

    try:
        frames = channel.run(exchange, name=name, deadline=deadline, doing=doing)
        Payload.parse(frames).verify()
    except (UnexpectedError, PayloadError):
        return None
    return frames


def _fill(
    connection: Connection,
    name: bytes,
    start: int,
    view: memoryview,
    deadline: float,
    *,
    filled: int = 0,
    reach: Callable[[int], None],
) -> None:
    """Fill memory with the part of a string that begins at `start`, in pieces.

    A piece is asked for before the ones in front of it have arrived: the server copies it meanwhile.

    Args:
        connection: To the server.
        name: The string.
        start: Where the part begins.
        view: The memory.
        deadline: When it must be full.
        filled: How much of it is filled already.
        reach: Is told up to where it is filled, after each piece.

    Raises:
        UnexpectedError: The string is shorter.
    """
    asked = filled
    while filled < len(view):
        commands = []
        while asked < len(view) and asked < filled + _AHEAD_BYTES:
            end = min(asked + _PIECE_BYTES, len(view))
            commands.append(pack(b"GETRANGE", name, b"%d" % (start + asked), b"%d" % (start + end - 1)))
            asked = end
        if commands:
            connection.send(commands, deadline)
        end = min(filled + _PIECE_BYTES, len(view))
        connection.string_into(view[filled:end], deadline)
        reach(end)
        filled = end


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
    summing: Summing | None = None,
) -> memoryview | None:
    """Fetch some bytes of a payload in parts.

    Args:
        channel: Where it is stored.
        key: The object.
        manifest: Its parts.
        wanted: Which bytes.
        deadline: When it must be over.
        summing: Sums what arrives.

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
        try:
            channel.run(
                partial(_fetch, names[piece.number], piece, whole, deadline, summing=summing),
                name=names[0],
                deadline=deadline,
                doing=doing,
            )
        except UnexpectedError:
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
    name: bytes, piece: _Piece, whole: memoryview, deadline: float, connection: Connection, *, summing: Summing | None
) -> None:
    def reach(end: int) -> None:
        if summing is not None:
            summing.reach(whole, piece.place + end)

    place = whole[piece.place : piece.place + piece.size]
    _fill(connection, name, piece.start, place, deadline, reach=reach)
