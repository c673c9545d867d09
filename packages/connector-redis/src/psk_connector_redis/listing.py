"""What does psk keep here, and how is it all deleted? Found by a scan for this channel's names, never flushed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from psk_connector_redis.channel import accepted
from psk_connector_redis.manifest import part_names
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import pack
from psk_connector_redis.scripts import EVICT, FORGET

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from psk.connectors import Key
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link
    from psk_connector_redis.scripts import Script

PAGE_NAMES: Final = 1000
"""How many names of the database the server looks at in one step, during which it serves nobody else."""


class Listing:
    """Serve SupportsList."""

    __slots__ = ()
    _channel: Channel

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects that are there."""
        return iter(list_keys(self._channel, self._channel.deadline(timeout)))

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of this channel, and nothing else.

        Deleted are strings under an object's name, damaged ones too, with what belongs to them. What is no string
        psk did not write, whatever its name: it stays, and is removed by an `evict` of its key alone.
        """
        return delete_all(self._channel, self._channel.deadline(timeout))


def list_keys(channel: Channel, deadline: float) -> list[Key]:
    """Give the key of each object, once."""
    key_of = channel.names.key_of

    def exchange(link: Link) -> list[Key]:
        found = (key_of(name) for page in scan(channel, link, deadline) for name in page)
        return [key for key in found if key is not None]

    answers = channel.server.run_on_each(exchange, deadline=deadline, doing="listing objects")
    return list(dict.fromkeys(key for answer in answers for key in answer))  # a server may name one twice


def delete_all(channel: Channel, deadline: float) -> int:
    """Delete every object, and what is left of others; return how many objects there were."""
    removed = 0
    # Asked for when an exchange broke: gone, unless the next one, which begins anew, finds them.
    uncertain: set[bytes] = set()

    def exchange(link: Link) -> None:
        nonlocal removed
        for page in scan(channel, link, deadline):
            uncertain.update(name for name in page if channel.names.key_of(name) is not None)
            removed += evict_page(channel, link, page, deadline)
            uncertain.difference_update(page)

    channel.server.run_on_each(exchange, deadline=deadline, doing="clearing the channel")
    return removed + len(uncertain)


def scan(channel: Channel, link: Link, deadline: float) -> Iterator[list[bytes]]:
    """Give the names of this channel that one server holds, page by page, some perhaps twice.

    A cursor means nothing to a server that was started anew: after a failure all of it begins again.
    """
    cursor = b"0"
    while True:
        options = (b"MATCH", channel.names.pattern, b"COUNT", b"%d" % PAGE_NAMES, b"TYPE", b"string")
        link.send((pack(b"SCAN", cursor, *options),), deadline)
        answer = accepted(link.reply(deadline))
        if not (type(answer) is list and [type(part) for part in answer] == [bytes, list]):
            raise GarbledError("SCAN was not answered with a cursor and names")
        cursor, page = answer
        yield [name for name in page if type(name) is bytes]
        if cursor == b"0":
            return


def evict_page(channel: Channel, link: Link, page: Sequence[bytes], deadline: float) -> int:
    """Remove the objects among some names; of what belongs to objects, that which would stay without them."""
    names = channel.names
    keys = [key for name in page if (key := names.key_of(name)) is not None]
    objects = [(names.of(key), names.claim(key)) for key in keys]
    removed = 0
    answers = run_all(link, EVICT, objects, b"", deadline=deadline)
    for key, (name, claim), evicted in zip(keys, objects, answers, strict=True):
        answer = evicted
        while isinstance(answer, bytes):
            told = (name, claim, *part_names(names, key, answer))
            [answer] = run_all(link, EVICT, [told], answer, deadline=deadline)
        removed += answer == 1
    others = [(names.of(key), name) for name in page if (key := names.owner_of(name)) is not None]
    run_all(link, FORGET, others, deadline=deadline)
    return removed


def run_all(
    link: Link, script: Script, each: Sequence[Sequence[bytes]], *arguments: bytes, deadline: float
) -> list[Any]:
    """Run a script for each of several groups of names, in one packet; 0 for what is no object of psk.

    Raises:
        Refusal: The server does not.
    """
    if not each:
        return []
    link.send([pack(*script.by_digest(names, *arguments)) for names in each], deadline)
    answers = [link.reply(deadline) for _ in each]
    for place, answer in enumerate(answers):
        if isinstance(answer, Refusal) and answer.code == "NOSCRIPT":
            link.send((pack(*script.in_full(each[place], *arguments)),), deadline)
            answers[place] = link.reply(deadline)
    return [0 if isinstance(answer, Refusal) and answer.code == "WRONGTYPE" else accepted(answer) for answer in answers]
