"""How are the bytes of a payload in parts fetched into one private memory? After a look at what is really there."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from psk.connectors import allocate
from psk.errors import ChannelDataError
from psk_connector_redis.channel import accepted
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.connectors import Key
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link
    from psk_connector_redis.manifest import Manifest


class Piece(NamedTuple):
    """Some bytes of one part: where it stands, where they begin in it, and where in what is wanted."""

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
        channel: Where.
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
    # What a manifest claims is not believed: memory is for what the server holds.
    there = channel.run(
        partial(_sizes, [names[piece.number] for piece in pieces], deadline),
        name=names[0],
        deadline=deadline,
        doing=f"getting {key}",
    )
    if 0 in there:
        return None
    if any(size != manifest.size(piece.number) for piece, size in zip(pieces, there, strict=True)):
        raise ChannelDataError(
            f"a part of object {key} has another length than it had", remedy="evict it, and put the object again"
        )
    whole = allocate(len(wanted))
    for piece in pieces:
        fetch = partial(_fetch, names[piece.number], piece, whole, deadline, reach=reach)
        if not channel.run(fetch, name=names[0], deadline=deadline, doing=f"getting {key}"):
            return None
    return whole


def _pieces(manifest: Manifest, wanted: range) -> Iterator[Piece]:
    place = 0
    while place < len(wanted):
        number, start = divmod(wanted.start + place, manifest.part_bytes)
        size = min(manifest.size(number) - start, len(wanted) - place)
        yield Piece(number, start, place, size)
        place += size


def _sizes(names: Sequence[bytes], deadline: float, link: Link) -> list[int]:
    link.send([pack(b"STRLEN", name) for name in names], deadline)
    return [accepted(size, int) for size in link.replies(len(names), deadline)]


def _fetch(
    name: bytes,
    piece: Piece,
    whole: memoryview,
    deadline: float,
    link: Link,
    *,
    reach: Callable[[memoryview, int], None] | None,
) -> bool:
    """Fill one piece; tell whether it was there, and as long as before."""
    place = whole[piece.place : piece.place + piece.size]

    def memory(nbytes: int) -> memoryview:
        return place if nbytes == piece.size else allocate(nbytes)

    def reach_piece(_: memoryview, end: int) -> None:
        if reach is not None:
            reach(whole, piece.place + end)

    last = piece.start + piece.size - 1
    link.send((pack(b"GETRANGE", name, b"%d" % piece.start, b"%d" % last),), deadline)
    stored = accepted(link.reply_into(deadline, memory, reach_piece), bytes, memoryview)
    if len(stored) != piece.size:
        return False
    if stored is not place:
        place[:] = stored
    reach_piece(place, piece.size)
    return True
