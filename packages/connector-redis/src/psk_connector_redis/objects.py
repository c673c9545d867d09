"""Look for, claim, renew and remove objects: one at a time by their keys, or all that a scan of the channel finds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk.connectors import Frames
from psk.errors import ChannelDataError
from psk_connector_redis.protocol import GarbledError, Refusal, accepted, pack
from psk_connector_redis.reading import Manifest, as_string, get_object, is_manifest, part_names
from psk_connector_redis.scripts import EVICT, FORGET, HOLDS_CLAIM, RENEW, TAKE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from psk.connectors import Key
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.connection import Connection
    from psk_connector_redis.scripts import Script

AT_ONCE_BYTES: Final = 64 * 1024
"""Up to which size the script that takes an object answers with it: it copies what it answers, several times."""

PAGE_NAMES: Final = 1000
"""Number of names that the server looks at in one step, during which it serves no other client."""


def exists(channel: Channel, key: Key, deadline: float) -> bool:
    """Tell whether anything is stored under an object's name."""
    name = channel.names.of(key)

    def exchange(connection: Connection) -> bool:
        connection.send((pack(b"EXISTS", name),), deadline)
        return bool(accepted(connection.reply(deadline), int))

    return channel.run(exchange, name=name, deadline=deadline, doing=f"looking for {key}")


def evict(channel: Channel, key: Key, deadline: float) -> None:
    """Remove an object, its claim and its parts in one step.

    Whatever has its name is removed, also a damaged manifest and what is not a string: the caller named it, and could
    not put the object again otherwise. Parts that only a damaged manifest knew are removed by the next `clear`.
    """
    names = channel.names
    given = [names.of(key), names.claim(key)]
    stored = b""
    doing = f"evicting {key}"
    # A manifest other than the one whose parts we named is another version, which takes gigabytes to upload.
    while type(answer := channel.run_script(EVICT, given, stored, b"any", deadline=deadline, doing=doing)) is not int:
        stored = bytes(as_string(key, answer))
        if not is_manifest(stored):
            raise ChannelDataError(
                f"the server's answer to evicting {key} is not one of the script's",
                remedy="check which server listens there",
            )
        given[2:] = part_names(names, key, stored)


def take_object(channel: Channel, key: Key, claim: bytes, lease: bytes, deadline: float) -> Frames | None:
    """Claim an object and fetch it; the server keeps the claim beside the object.

    Args:
        channel: Where it is stored.
        key: The object.
        claim: The claimant.
        lease: Milliseconds until others may; empty for never.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        The object; None if there is none, or another claim holds it.
    """
    names = (channel.names.of(key), channel.names.claim(key))
    doing = f"taking {key}"
    while True:
        answer = channel.run_script(TAKE, names, claim, lease, b"%d" % AT_ONCE_BYTES, deadline=deadline, doing=doing)
        if answer == 0:
            return None
        if answer != 1:
            return Frames([as_string(key, answer)])
        frames = get_object(channel, key, deadline)
        # While it was on its way the object may have been evicted, put again and claimed by another.
        if channel.run_script(HOLDS_CLAIM, names[1:], claim, deadline=deadline, doing=doing) == 1:
            return frames
        if frames is None:
            return None


def renew_object(channel: Channel, key: Key, ttl: bytes, deadline: float) -> bool:
    """Set the expiry of an object and of its parts; tell whether there is such an object.

    Args:
        channel: Where it is stored.
        key: The object.
        ttl: Milliseconds from now; empty for never.
        deadline: When to give up, by `time.monotonic`.
    """
    names = [channel.names.of(key), channel.names.claim(key)]
    answer = channel.run_script(RENEW, names, ttl, b"", deadline=deadline, doing=f"renewing {key}")
    while isinstance(answer, bytes):
        parts = Manifest.read(key, answer).names(channel.names, key)
        answer = channel.run_script(RENEW, [*names, *parts], ttl, answer, deadline=deadline, doing=f"renewing {key}")
    return bool(answer)


def list_keys(channel: Channel, deadline: float) -> list[Key]:
    """Return the key of each object, once."""
    key_of = channel.names.key_of

    def exchange(connection: Connection) -> list[Key]:
        found = (key_of(name) for page in _scan(channel, connection, deadline) for name in page)
        return [key for key in found if key is not None]

    answers = channel.server.run_on_each(exchange, deadline=deadline, doing="listing objects")
    return list(dict.fromkeys(key for answer in answers for key in answer))  # a server may name one twice


def delete_all(channel: Channel, deadline: float) -> int:
    """Delete every object, and what is left of others; return the number of objects."""
    removed = 0
    # Asked for when an exchange broke: gone, unless the next one, which begins anew, finds them.
    uncertain: set[bytes] = set()

    def exchange(connection: Connection) -> None:
        nonlocal removed
        for page in _scan(channel, connection, deadline):
            uncertain.update(name for name in page if channel.names.key_of(name) is not None)
            removed += _evict_page(channel, connection, page, deadline)
            uncertain.difference_update(page)

    channel.server.run_on_each(exchange, deadline=deadline, doing="clearing the channel")
    return removed + len(uncertain)


def _scan(channel: Channel, connection: Connection, deadline: float) -> Iterator[list[bytes]]:
    """Return the names of this channel that one server holds, page by page, some perhaps twice.

    A cursor means nothing to a server that was restarted: after a failure the whole scan begins again.
    """
    cursor = b"0"
    while True:
        options = (b"MATCH", channel.names.pattern, b"COUNT", b"%d" % PAGE_NAMES, b"TYPE", b"string")
        connection.send((pack(b"SCAN", cursor, *options),), deadline)
        answer = accepted(connection.reply(deadline))
        if not (type(answer) is list and [type(part) for part in answer] == [bytes, list]):
            raise GarbledError("SCAN was not answered with a cursor and names")
        cursor, page = answer
        yield [name for name in page if type(name) is bytes]
        if cursor == b"0":
            return


def _evict_page(channel: Channel, connection: Connection, page: Sequence[bytes], deadline: float) -> int:
    """Remove the objects among some names; of claims and parts, those that would stay although their object is gone."""
    names = channel.names
    keys = [key for name in page if (key := names.key_of(name)) is not None]
    objects = [(names.of(key), names.claim(key)) for key in keys]
    removed = 0
    answers = _run_for_each(connection, EVICT, objects, b"", deadline=deadline)
    for key, (name, claim), evicted in zip(keys, objects, answers, strict=True):
        answer = evicted
        while isinstance(answer, bytes):
            given = (name, claim, *part_names(names, key, answer))
            [answer] = _run_for_each(connection, EVICT, [given], answer, deadline=deadline)
        removed += answer == 1
    others = [(names.of(key), name) for name in page if (key := names.owner_of(name)) is not None]
    _run_for_each(connection, FORGET, others, deadline=deadline)
    return removed


def _run_for_each(
    connection: Connection, script: Script, each: Sequence[Sequence[bytes]], *arguments: bytes, deadline: float
) -> list[Any]:
    """Run a script for each of several groups of names, in one packet; 0 for what is not an object of psk.

    Raises:
        Refusal: The server refuses.
    """
    if not each:
        return []
    connection.send([pack(*script.by_digest(names, *arguments)) for names in each], deadline)
    answers = connection.replies(len(each), deadline)
    for place, answer in enumerate(answers):
        if isinstance(answer, Refusal) and answer.code == "NOSCRIPT":
            connection.send((pack(*script.in_full(each[place], *arguments)),), deadline)
            answers[place] = connection.reply(deadline)
    return [0 if isinstance(answer, Refusal) and answer.code == "WRONGTYPE" else accepted(answer) for answer in answers]
