"""How is a payload kept that is longer than a server's longest string? In parts, which one script makes visible."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from psk.connectors import HEADER_BYTES
from psk.errors import ChannelUnavailableError, PskError
from psk_connector_redis.channel import accepted, run_script
from psk_connector_redis.durability import confirm
from psk_connector_redis.manifest import Manifest
from psk_connector_redis.resp import pack, pack_around
from psk_connector_redis.sameness import is_same
from psk_connector_redis.scripts import COMMIT, Script

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link
    from psk_connector_redis.resp import Buffer

PART_BYTES: Final = 256 * 1024 * 1024
"""How long a part is: half of what a server takes, so that neither side ever holds much of it twice."""

DISCARD: Final = Script("""
if redis.call('GET', KEYS[1]) == ARGV[1] then return 0 end
for number = 2, #KEYS do redis.call('UNLINK', KEYS[number]) end
return 1
""")
"""Names: object, uploaded parts. Arguments: their manifest. Removes the parts unless they have become visible."""

_SPARE_SECONDS: Final = 60
_CLEANING_SECONDS: Final = 0.3
_MOST_UPLOADS: Final = 3
_COMMITTED: Final = 1


def put_parts(channel: Channel, payload: Payload, left: bytes, deadline: float) -> None:
    """Store a payload in parts; arguments and errors as of `put_object`."""
    key = payload.key
    name = channel.names.of(key)
    buffers = payload.buffers()
    doing = f"putting {key}"

    def is_there(link: Link) -> bool:
        there = is_same(channel, link, payload, deadline)
        if there and channel.is_replicated:
            confirm(link, deadline, doing)
        return there

    def commit(link: Link) -> bool:
        told = [name, *manifest.names(channel.names, key)]
        answer: int = run_script(link, COMMIT, told, manifest.write(), left, deadline=deadline)
        done = answer == _COMMITTED
        if done:
            link.send((pack(b"PUBLISH", channel.names.news(key), b""),), deadline)
            link.reply(deadline)
        if done and channel.is_replicated:
            confirm(link, deadline, doing)
        return done

    for _ in range(_MOST_UPLOADS):
        # Each time: a commit whose answer was lost is not done twice, and another writer may be faster.
        if channel.run(is_there, name=name, deadline=deadline, doing=doing):
            return
        manifest = Manifest.new(bytes(buffers[0][:HEADER_BYTES]), payload.nbytes, PART_BYTES)
        try:
            upload(channel, key, manifest, buffers, deadline)
            if channel.run(commit, name=name, deadline=deadline, doing=doing):
                return
        except BaseException:
            discard(channel, key, manifest)
            raise
        discard(channel, key, manifest)
    raise ChannelUnavailableError(
        f"parts of object {key} vanish before all of them are there",
        remedy="give the server more memory, or let it evict nothing (maxmemory-policy noeviction)",
    )


def upload(channel: Channel, key: Key, manifest: Manifest, buffers: Sequence[Buffer], deadline: float) -> None:
    """Send the parts, which vanish by themselves some time after the deadline if nobody makes them visible."""
    seconds = max(0.0, deadline - time.monotonic()) + _SPARE_SECONDS
    options = (b"PX", b"%d" % (seconds * 1000))
    names = manifest.names(channel.names, key)
    sizes = [manifest.size(number) for number in range(manifest.part_count)]
    for name, size, pieces in zip(names, sizes, cut(buffers, sizes), strict=True):
        packet = pack_around((b"SET", name), pieces, size, options)

        def exchange(link: Link, packet: list[Buffer] = packet) -> None:
            link.send(packet, deadline)
            accepted(link.reply(deadline), bytes)

        channel.run(exchange, name=name, deadline=deadline, doing=f"putting {key}", nbytes=manifest.nbytes)


def discard(channel: Channel, key: Key, manifest: Manifest) -> None:
    """Remove parts that did not become visible; where that fails they vanish by themselves."""
    names = [channel.names.of(key), *manifest.names(channel.names, key)]
    deadline = time.monotonic() + _CLEANING_SECONDS
    with suppress(PskError):
        channel.run_script(DISCARD, names, manifest.write(), deadline=deadline, doing=f"cleaning up {key}")


def cut(buffers: Sequence[Buffer], sizes: Sequence[int]) -> Iterator[list[Buffer]]:
    """Divide buffers that follow each other into pieces of these sizes."""
    rest = iter(buffers)
    buffer = memoryview(b"")
    for size in sizes:
        pieces: list[Buffer] = []
        missing = size
        while missing:
            if not buffer:
                buffer = memoryview(next(rest))
                continue
            piece = buffer[:missing]
            pieces.append(piece)
            missing -= len(piece)
            buffer = buffer[len(piece) :]
        yield pieces
