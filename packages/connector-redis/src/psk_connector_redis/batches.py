"""Move many objects in few packets; those that a packet does not settle are moved one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import Frames
from psk_connector_redis.durability import confirm
from psk_connector_redis.objects import evict, exists
from psk_connector_redis.protocol import Refusal, pack
from psk_connector_redis.reading import get_object, is_manifest
from psk_connector_redis.scripts import EVICT
from psk_connector_redis.writing import put_object

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.connection import Connection
    from psk_connector_redis.protocol import Buffer

MOST_COMMANDS: Final = 500
"""Most objects of one packet, so that no server keeps its other clients waiting."""

MOST_BYTES: Final = 4 * 1024 * 1024
"""Most bytes of objects in one packet; a longer object is sent alone."""

SHORT_BYTES: Final = 64 * 1024
"""Up to which size objects are fetched together: a server holds all answers to a packet in its memory."""

_AT_A_TIME: Final = 50


def put_objects(channel: Channel, payloads: Sequence[Payload], ttl: bytes, deadline: float) -> None:
    """Store payloads; arguments and errors as of `put_object`."""
    keys = [payload.key for payload in payloads]
    sizes = [payload.nbytes for payload in payloads]
    put = channel.commands.put
    answers = _ask_all(channel, keys, lambda place: put(payloads[place], ttl), deadline, sizes=sizes, is_put=True)
    for payload, stored in zip(payloads, answers, strict=True):
        if stored != b"OK":  # refused, or not even asked; or the name is taken, perhaps by the same payload
            put_object(channel, payload, ttl, deadline)


def get_objects(channel: Channel, keys: Sequence[Key], deadline: float) -> list[Frames | None]:
    """Fetch payloads into private memory."""
    start = channel.commands.start
    found: list[Frames | None] = [None] * len(keys)
    empty: list[int] = []
    answers = _ask_all(channel, keys, lambda place: (start(keys[place], SHORT_BYTES + 1),), deadline)
    for place, answer in enumerate(answers):
        if answer == b"":
            empty.append(place)
        elif type(answer) is bytes and len(answer) <= SHORT_BYTES and not is_manifest(answer):
            found[place] = Frames((answer,))
        else:
            found[place] = get_object(channel, keys[place], deadline)
    there = objects_exist(channel, [keys[place] for place in empty], deadline)
    for place, is_there in zip(empty, there, strict=True):
        if is_there:  # put meanwhile, or an empty string, which `Payload` refuses
            found[place] = get_object(channel, keys[place], deadline)
    return found


def objects_exist(channel: Channel, keys: Sequence[Key], deadline: float) -> list[bool]:
    """Tell for each key whether anything is stored under its name."""
    names = channel.names
    answers = _ask_all(channel, keys, lambda place: (pack(b"EXISTS", names.of(keys[place])),), deadline)
    return [
        bool(answer) if type(answer) is int else exists(channel, key, deadline)
        for key, answer in zip(keys, answers, strict=True)
    ]


def evict_objects(channel: Channel, keys: Sequence[Key], deadline: float) -> None:
    """Remove objects, each as `evict` does."""
    names = channel.names

    def command(place: int) -> Sequence[Buffer]:
        key = keys[place]
        return (pack(*EVICT.by_digest((names.of(key), names.claim(key)), b"", b"any")),)

    answers = _ask_all(channel, keys, command, deadline)
    if answers and type(answers[0]) is Refusal:  # perhaps the server does not know the script; then it learns it now
        evict(channel, keys[0], deadline)
        answers = _ask_all(channel, keys, command, deadline)
    for key, answer in zip(keys, answers, strict=True):
        if type(answer) is not int:  # it must be given the parts, or refuses for a reason
            evict(channel, key, deadline)


def _ask_all(
    channel: Channel,
    keys: Sequence[Key],
    command: Callable[[int], Sequence[Buffer]],
    deadline: float,
    *,
    sizes: Sequence[int] = (),
    is_put: bool = False,
) -> list[Any]:
    """Send a command for each of many objects.

    Args:
        channel: Where they are stored.
        keys: The objects.
        command: Returns the command for the object at a place.
        deadline: When it must be over.
        sizes: The sizes of the commands, if that matters; very long ones are not sent.
        is_put: Whether each command puts an object, and so has two answers.

    Returns:
        The first answer to each command, a `Refusal` among them; None where none was sent.
    """
    answers: list[Any] = [None] * len(keys)
    each = 2 if is_put else 1

    def exchange(places: Sequence[int], doing: str, connection: Connection) -> None:
        for start in range(0, len(places), _AT_A_TIME):
            # The server works on the first commands while the others are being written.
            some = places[start : start + _AT_A_TIME]
            connection.send([buffer for place in some for buffer in command(place)], deadline)
        replies = connection.replies(each * len(places), deadline)[::each]
        for place, answer in zip(places, replies, strict=True):
            answers[place] = answer
        if is_put and channel.is_replicated:
            confirm(connection, deadline, doing)

    for places in _packets(channel, keys, sizes, deadline):
        first = keys[places[0]]
        doing = f"moving {len(places)} objects, {first} the first of them"
        name = channel.names.of(first)
        channel.run(partial(exchange, places, doing), name=name, deadline=deadline, doing=doing)
    return answers


def _packets(channel: Channel, keys: Sequence[Key], sizes: Sequence[int], deadline: float) -> Iterator[Sequence[int]]:
    """Divide objects into packets, each for one server and of limited length: the places of its objects."""
    groups: Sequence[Sequence[int]] = (range(len(keys)),)
    if channel.settings.cluster:
        groups = list(channel.server.places([channel.names.of(key) for key in keys], deadline).values())
    for group in groups:
        packet: list[int] = []
        nbytes = 0
        for place in group:
            size = sizes[place] if sizes else 0
            if size > MOST_BYTES:
                continue
            if nbytes + size > MOST_BYTES or len(packet) == MOST_COMMANDS:
                yield packet
                packet, nbytes = [], 0
            packet.append(place)
            nbytes += size
        if packet:
            yield packet
