"""How is a part of a payload read? By the server's own range, of one string or of several."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psk.errors import PayloadError
from psk_connector_redis.channel import accepted
from psk_connector_redis.manifest import MANIFEST_BYTES, Manifest, is_manifest
from psk_connector_redis.part_reading import read_parts
from psk_connector_redis.resp import LONGEST_STRING, pack

if TYPE_CHECKING:
    from psk.connectors import Key
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link


_MOST_CHANGES: Final = 8


def get_range(channel: Channel, key: Key, offset: int, length: int, deadline: float) -> memoryview | None:
    """Fetch up to `length` bytes of a payload from `offset` on into private memory; None without an object."""
    name = channel.names.of(key)
    # No string is longer, and the server counts in 64 bits.
    end = min(offset + length, LONGEST_STRING)
    first, last = (offset, end - 1) if offset < end else (1, 0)
    packet = (
        pack(b"GETRANGE", name, b"%d" % first, b"%d" % last)
        + pack(b"GETRANGE", name, b"0", b"%d" % (MANIFEST_BYTES - 1))
        + pack(b"STRLEN", name),
    )
    doing = f"getting a part of {key}"

    def exchange(link: Link) -> tuple[Any, Any, Any]:
        link.send(packet, deadline)
        answers = link.reply_into(deadline), link.reply(deadline), link.reply(deadline)
        return accepted(answers[0], bytes, memoryview), accepted(answers[1], bytes), accepted(answers[2], int)

    for _ in range(_MOST_CHANGES):
        part, start, size = channel.run(exchange, name=name, deadline=deadline, doing=doing)
        if is_manifest(start):
            manifest = Manifest.read(key, start)
            wanted = range(min(offset, manifest.nbytes), min(offset + length, manifest.nbytes))
            if (found := read_parts(channel, key, manifest, wanted, deadline)) is not None:
                return found
        elif part or not offset < min(size, end):
            return memoryview(part) if size else None
    raise PayloadError(f"parts of object {key} are missing", remedy="evict it, and put the object again")
