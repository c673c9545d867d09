"""How are many objects moved at once? Many commands in one packet; what that does not settle goes one by one."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import Frames, check_ttl, validate_plain_key
from psk_connector_redis.durability import confirm
from psk_connector_redis.manifest import is_manifest
from psk_connector_redis.objects import evict, exists, get_object, milliseconds, put_object
from psk_connector_redis.refusal import Refusal
from psk_connector_redis.resp import pack
from psk_connector_redis.scripts import EVICT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.link import Link
    from psk_connector_redis.resp import Buffer

MOST_COMMANDS: Final = 500
"""How many objects one packet is for, so that no server keeps its other clients waiting."""

MOST_BYTES: Final = 4 * 1024 * 1024
"""How many bytes of objects one packet holds; a longer object goes alone."""

SHORT_BYTES: Final = 64 * 1024
"""Up to which size objects are fetched together: a server holds all answers to a packet in its memory."""

_AT_A_TIME: Final = 50


class Batches:
    """Serve SupportsBatch."""

    __slots__ = ()
    _channel: Channel

    def put_batch(
        self,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> list[Key]:
        """Put each payload, many in one packet."""
        left = b"" if ttl is None else milliseconds(check_ttl(ttl))
        put_objects(self._channel, payloads, left, self._channel.deadline(timeout))
        return [payload.key for payload in payloads]

    def get_batch(
        self,
        keys: Sequence[Key],
        *,
        sizes: Sequence[int | None] | None = None,  # noqa: ARG002  the server says how much comes before it comes
        timeout: float | None = None,
    ) -> list[Frames | None]:
        """Get each key; small objects come many in one packet."""
        wanted = [validate_plain_key(key) for key in keys]
        return get_objects(self._channel, wanted, self._channel.deadline(timeout))

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether an object stands there."""
        wanted = [validate_plain_key(key) for key in keys]
        return exist(self._channel, wanted, self._channel.deadline(timeout))

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""
        wanted = [validate_plain_key(key) for key in keys]
        evict_objects(self._channel, wanted, self._channel.deadline(timeout))


def put_objects(channel: Channel, payloads: Sequence[Payload], left: bytes, deadline: float) -> None:
    """Store payloads; arguments and errors as of `put_object`."""
    keys = [payload.key for payload in payloads]
    sizes = [payload.nbytes for payload in payloads]
    put = channel.packets.put
    answers = ask_all(channel, keys, lambda place: put(payloads[place], left), deadline, sizes=sizes, is_put=True)
    for payload, stored in zip(payloads, answers, strict=True):
        if stored != b"OK":  # refused, or not even asked; or something stands there, perhaps the very same
            put_object(channel, payload, left, deadline)


def get_objects(channel: Channel, keys: Sequence[Key], deadline: float) -> list[Frames | None]:
    """Fetch payloads into private memory."""
    start = channel.packets.start
    found: list[Frames | None] = [None] * len(keys)
    empty: list[int] = []
    answers = ask_all(channel, keys, lambda place: (start(keys[place], SHORT_BYTES + 1),), deadline)
    for place, answer in enumerate(answers):
        if answer == b"":
            empty.append(place)
        elif type(answer) is bytes and len(answer) <= SHORT_BYTES and not is_manifest(answer):
            found[place] = Frames((answer,))
        else:
            found[place] = get_object(channel, keys[place], deadline)
    there = exist(channel, [keys[place] for place in empty], deadline)
    for place, is_there in zip(empty, there, strict=True):
        if is_there:  # put meanwhile, or an empty string, which is for `Payload` to refuse
            found[place] = get_object(channel, keys[place], deadline)
    return found


def exist(channel: Channel, keys: Sequence[Key], deadline: float) -> list[bool]:
    """Tell for each key whether something stands under its name."""
    names = channel.names
    answers = ask_all(channel, keys, lambda place: (pack(b"EXISTS", names.of(keys[place])),), deadline)
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

    answers = ask_all(channel, keys, command, deadline)
    if answers and type(answers[0]) is Refusal:  # perhaps the server does not know the script; then it learns it now
        evict(channel, keys[0], deadline)
        answers = ask_all(channel, keys, command, deadline)
    for key, answer in zip(keys, answers, strict=True):
        if type(answer) is not int:  # it wants to be told the parts, or refuses for a reason
            evict(channel, key, deadline)


def ask_all(
    channel: Channel,
    keys: Sequence[Key],
    command: Callable[[int], Sequence[Buffer]],
    deadline: float,
    *,
    sizes: Sequence[int] = (),
    is_put: bool = False,
) -> list[Any]:
    """Ask something for each of many objects.

    Args:
        channel: Where.
        keys: The objects.
        command: Gives the packet for the object at a place.
        deadline: When it must be over.
        sizes: How long each packet is, if that matters; very long ones are not sent.
        is_put: Whether each packet puts an object, and so has two answers.

    Returns:
        The first answer to each packet, a `Refusal` among them; None where none was sent.
    """
    answers: list[Any] = [None] * len(keys)
    each = 2 if is_put else 1

    def exchange(places: Sequence[int], doing: str, link: Link) -> None:
        for start in range(0, len(places), _AT_A_TIME):
            # The server works on the first commands while the others are being written.
            some = places[start : start + _AT_A_TIME]
            link.send([buffer for place in some for buffer in command(place)], deadline)
        for place, answer in zip(places, link.replies(each * len(places), deadline)[::each], strict=True):
            answers[place] = answer
        if is_put and channel.is_replicated:
            confirm(link, deadline, doing)

    for places in packets(channel, keys, sizes, deadline):
        first = keys[places[0]]
        doing = f"moving {len(places)} objects, {first} the first of them"
        name = channel.names.of(first)
        channel.run(partial(exchange, places, doing), name=name, deadline=deadline, doing=doing)
    return answers


def packets(channel: Channel, keys: Sequence[Key], sizes: Sequence[int], deadline: float) -> Iterator[Sequence[int]]:
    """Divide objects into packets, each for one server and of limited length: the places of its objects."""
    groups: Sequence[Sequence[int]] = (range(len(keys)),)
    if channel.settings.cluster:
        groups = channel.server.groups([channel.names.of(key) for key in keys], deadline)
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
