"""Is what stands under an object's name the payload that is put? Mostly its first bytes say so."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors import HEADER_BYTES, is_same_payload
from psk.errors import KeyExistsError
from psk_connector_redis.channel import accepted
from psk_connector_redis.manifest import MANIFEST_BYTES, Manifest, is_manifest
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from psk.connectors import Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link


def is_same(channel: Channel, link: Link, payload: Payload, deadline: float) -> bool:
    """Tell whether a payload stands under its name: True if it does, False if nothing does any more.

    Raises:
        KeyExistsError: Something else does.
    """
    key = payload.key
    name = channel.names.of(key)

    def read_string(of: bytes, nbytes: int, offset: int) -> bytes | memoryview:
        link.send((pack(b"GETRANGE", of, b"%d" % offset, b"%d" % (offset + nbytes - 1)),), deadline)
        answer: bytes | memoryview = accepted(link.reply_into(deadline), bytes, memoryview)
        return answer

    start = bytes(read_string(name, MANIFEST_BYTES, 0))
    if not start:
        link.send((pack(b"EXISTS", name),), deadline)
        if accepted(link.reply(deadline), int) == 0:
            return False  # else an empty string stands there, which is no payload
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
        f"another payload stands under the key {key}",
        found=[channel.server.describe()],
        remedy="encode the object anew, or evict the other one",
    )
