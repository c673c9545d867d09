"""How is one payload put, fetched, found and removed? As one string under one name, in one exchange each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from psk.connectors import Frames
from psk.errors import ChannelDataError, PayloadError
from psk_connector_redis.channel import accepted
from psk_connector_redis.durability import confirm
from psk_connector_redis.manifest import Manifest, is_manifest, part_names
from psk_connector_redis.part_reading import read_parts
from psk_connector_redis.parts import put_parts
from psk_connector_redis.refusal import GarbledError
from psk_connector_redis.resp import LONGEST_STRING
from psk_connector_redis.sameness import is_same
from psk_connector_redis.scripts import EVICT
from psk_connector_redis.summing import Summing

if TYPE_CHECKING:
    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link

_MOST_CHANGES: Final = 8


def milliseconds(seconds: float) -> bytes:
    """Write a time to live, a lease or the like as the server reads it."""
    return b"%d" % max(1, seconds * 1000)


def put_object(channel: Channel, payload: Payload, left: bytes, deadline: float) -> None:
    """Store a payload, and tell those who wait for it in the same packet.

    Args:
        channel: Where.
        payload: What.
        left: Its time to live in milliseconds; empty for none.
        deadline: When it must be over.

    Raises:
        KeyExistsError: Another payload stands under its name.
    """
    if payload.nbytes > LONGEST_STRING:
        put_parts(channel, payload, left, deadline)
        return
    key = payload.key
    name = channel.names.of(key)
    packet = channel.packets.put(payload, left)
    doing = f"putting {key}"

    def exchange(link: Link) -> None:
        while True:
            link.send(packet, deadline)
            if take_put_replies(link, deadline) or is_same(channel, link, payload, deadline):
                break
        if channel.is_replicated:
            confirm(link, deadline, doing)

    channel.run(exchange, name=name, deadline=deadline, doing=doing, nbytes=payload.nbytes)


def take_put_replies(link: Link, deadline: float) -> bool:
    """Tell whether a payload was stored by its packet; else something stands there."""
    stored = link.reply(deadline)
    link.reply(deadline)  # how many were told; those whom this user may not tell look from time to time
    if accepted(stored, bytes, type(None)) not in {b"OK", None}:
        raise GarbledError("SET was answered with nonsense")
    return stored is not None


def get_object(channel: Channel, key: Key, deadline: float) -> Frames | None:
    """Fetch a payload into private memory."""
    name = channel.names.of(key)
    packet = (channel.packets.get(key),)
    doing = f"getting {key}"

    def exchange(link: Link) -> tuple[Any, Summing]:
        summing = Summing()
        link.send(packet, deadline)
        return accepted(link.reply_into(deadline, reach=summing.reach)), summing

    manifest: Manifest | None = None
    for _ in range(_MOST_CHANGES):
        stored, summing = channel.run(exchange, name=name, deadline=deadline, doing=doing)
        if stored is None:
            return None
        if not is_manifest(stored):
            whole = as_string(key, stored)
            return Frames([whole], summing.of(whole))
        before, manifest = manifest, Manifest.read(key, stored)
        if manifest == before:
            break
        summing = Summing()
        together = read_parts(channel, key, manifest, range(manifest.nbytes), deadline, reach=summing.reach)
        if together is not None:
            return Frames([together], summing.of(together))
    raise PayloadError(f"parts of object {key} are missing", remedy="evict it, and put the object again")


def as_string(key: Key, stored: object) -> bytes | memoryview:
    """Return what a server answered, if it is a string."""
    if isinstance(stored, bytes | memoryview):
        return stored
    raise ChannelDataError(f"the server answered for object {key} with no string", remedy="see what listens there")


def exists(channel: Channel, key: Key, deadline: float) -> bool:
    """Tell whether something stands under an object's name."""
    name = channel.names.of(key)
    return bool(channel.ask(b"EXISTS", name, name=name, deadline=deadline, doing=f"looking for {key}", kind=int))


def evict(channel: Channel, key: Key, deadline: float) -> None:
    """Remove an object, its claim and its parts in one step.

    Whatever stands under its name goes, a damaged manifest and what is no string too: the caller named it, and could
    not put the object again otherwise. Parts that only a damaged manifest knew go at the next `clear`.
    """
    names = channel.names
    told = [names.of(key), names.claim(key)]
    stored = b""
    doing = f"evicting {key}"
    # A manifest that is not the one we named parts of means another version, which takes gigabytes to upload.
    while type(answer := channel.run_script(EVICT, told, stored, b"any", deadline=deadline, doing=doing)) is not int:
        stored = bytes(as_string(key, answer))
        if not is_manifest(stored):
            raise ChannelDataError(f"the server evicted {key} with a senseless answer", remedy="see what listens there")
        told[2:] = part_names(names, key, stored)
