"""Put payloads: as one string in one exchange, or in parts that one script makes visible together."""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import HEADER_BYTES
from psk.errors import (
    ChannelDataError,
    ChannelUnavailableError,
    KeyExistsError,
    MissingKeyError,
    PskError,
    RevisionConflictError,
)
from psk_connector_redis.durability import confirm
from psk_connector_redis.protocol import LONGEST_STRING, GarbledError, accepted, pack, pack_around
from psk_connector_redis.reading import Manifest, is_stored
from psk_connector_redis.scripts import COMMIT, DISCARD, SWAP

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk.connectors import Key, Payload
    from psk_connector_redis.channel import Channel
    from psk_connector_redis.connection import Connection
    from psk_connector_redis.protocol import Buffer

PART_BYTES: Final = 256 * 1024 * 1024
"""Size of a part: half of what a server takes, so that neither side ever holds much of it twice."""

IN_SCRIPT_BYTES: Final = 64 * 1024
"""Up to which size a next version is an argument of the script, which copies its arguments several times."""

_SPARE_SECONDS: Final = 60
_CLEANING_SECONDS: Final = 0.3
_MOST_UPLOADS: Final = 3
_NO_ROOM: Final = "give the server more memory, or let it evict nothing (maxmemory-policy noeviction)"


def put_object(channel: Channel, payload: Payload, ttl: bytes, deadline: float) -> None:
    """Store a payload, and tell those who wait for it in the same packet.

    Args:
        channel: Where to store it.
        payload: What to store.
        ttl: Its time to live in milliseconds; empty for none.
        deadline: When it must be over.

    Raises:
        KeyExistsError: The key holds a different object.
    """
    if payload.nbytes > LONGEST_STRING:
        _put_parts(channel, payload, ttl, deadline)
        return
    key = payload.key
    commands = channel.commands.put(payload, ttl)
    doing = f"putting {key}"

    def exchange(connection: Connection) -> None:
        while True:
            connection.send(commands, deadline)
            stored, _ = connection.replies(2, deadline)  # a user without the right to publish stores all the same
            if stored == b"OK":
                break
            if accepted(stored, bytes, type(None)) is not None:
                raise GarbledError("SET was not answered as a Redis server does")
            if is_stored(channel, connection, payload, deadline):
                break
        if channel.is_replicated:
            confirm(connection, deadline, doing)

    channel.run(exchange, name=channel.names.of(key), deadline=deadline, doing=doing, nbytes=payload.nbytes)


def _put_parts(channel: Channel, payload: Payload, ttl: bytes, deadline: float) -> None:
    key = payload.key
    name = channel.names.of(key)
    buffers = payload.buffers()
    doing = f"putting {key}"

    def is_there(connection: Connection) -> bool:
        there = is_stored(channel, connection, payload, deadline)
        if there and channel.is_replicated:
            confirm(connection, deadline, doing)
        return there

    def commit(connection: Connection) -> bool:
        names = [name, *manifest.names(channel.names, key)]
        if COMMIT.run(connection, names, manifest.write(), ttl, deadline=deadline) != 1:
            return False
        connection.send((pack(b"PUBLISH", channel.names.news(key), b""),), deadline)
        connection.reply(deadline)
        if channel.is_replicated:
            confirm(connection, deadline, doing)
        return True

    for _ in range(_MOST_UPLOADS):
        # Each time: a commit whose answer was lost is not done twice, and another writer may be faster.
        if channel.run(is_there, name=name, deadline=deadline, doing=doing):
            return
        manifest = Manifest.new(bytes(buffers[0][:HEADER_BYTES]), payload.nbytes, PART_BYTES)
        try:
            _upload(channel, key, manifest, buffers, deadline)
            if channel.run(commit, name=name, deadline=deadline, doing=doing):
                return
        except BaseException:
            _discard(channel, key, manifest)
            raise
        _discard(channel, key, manifest)
    raise ChannelUnavailableError(f"parts of object {key} vanish before all of them are stored", remedy=_NO_ROOM)


def _upload(channel: Channel, key: Key, manifest: Manifest, buffers: Sequence[Buffer], deadline: float) -> None:
    """Send the parts, which expire some time after the deadline unless they are made visible."""
    seconds = max(0.0, deadline - time.monotonic()) + _SPARE_SECONDS
    options = (b"PX", b"%d" % (seconds * 1000))
    names = manifest.names(channel.names, key)
    sizes = [manifest.size(number) for number in range(manifest.part_count)]
    for name, size, pieces in zip(names, sizes, cut(buffers, sizes), strict=True):
        packet = pack_around((b"SET", name), pieces, size, options)

        def exchange(connection: Connection, packet: list[Buffer] = packet) -> None:
            connection.send(packet, deadline)
            accepted(connection.reply(deadline), bytes)

        channel.run(exchange, name=name, deadline=deadline, doing=f"putting {key}", nbytes=manifest.nbytes)


def _discard(channel: Channel, key: Key, manifest: Manifest) -> None:
    """Remove parts that did not become visible; where that fails they expire."""
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


class Swap:
    """One attempt to replace an object by its next version: a long one is uploaded first, then one script decides.

    Args:
        channel: Where it is stored.
        payload: The next version.
        ttl: Its time to live in milliseconds, or `same`.
        deadline: When to give up, by `time.monotonic`.
    """

    __slots__ = ("_buffers", "_channel", "_deadline", "_doing", "_key", "_payload", "_ttl", "_uploaded", "_value")

    def __init__(self, channel: Channel, payload: Payload, ttl: bytes, deadline: float) -> None:
        self._channel = channel
        self._payload = payload
        self._key = payload.key
        self._ttl = ttl
        self._deadline = deadline
        self._doing = f"swapping {payload.key}"
        self._buffers = payload.buffers()
        self._uploaded: Manifest | None = None
        if payload.nbytes <= IN_SCRIPT_BYTES:
            self._value = b"".join(self._buffers)
        else:
            # In one part it takes the object's place by itself; in several their manifest does.
            part_bytes = payload.nbytes if payload.nbytes <= LONGEST_STRING else PART_BYTES
            header = bytes(self._buffers[0][:HEADER_BYTES])
            self._uploaded = Manifest.new(header, payload.nbytes, part_bytes)
            self._value = b"" if part_bytes == payload.nbytes else self._uploaded.write()

    def run(self) -> None:
        """Replace the object.

        Raises:
            PskError: That cannot be done; see `SupportsSwap.swap`.
        """
        try:
            self._run()
        except BaseException:
            if self._uploaded is not None:
                _discard(self._channel, self._key, self._uploaded)
            raise

    def _run(self) -> None:
        manifest, uploads = b"", 0
        while True:
            # Asked before the upload too, which is useless if the revision is another.
            kind, *more = self._channel.run(
                partial(self._decide, manifest),
                name=self._channel.names.of(self._key),
                deadline=self._deadline,
                doing=self._doing,
                nbytes=self._payload.nbytes,
            )
            if kind == b"swapped":
                return
            if kind == b"manifest" and more:
                manifest = more[0]
            elif kind == b"vanished" and self._uploaded is not None and uploads < _MOST_UPLOADS:
                uploads += 1
                _upload(self._channel, self._key, self._uploaded, self._buffers, self._deadline)
            else:
                raise self._failure(kind)

    def _decide(self, manifest: bytes, connection: Connection) -> Sequence[Any]:
        """Ask the script; if an earlier answer was lost, the object may be the next version already."""
        names = self._channel.names
        uploaded = [] if self._uploaded is None else self._uploaded.names(names, self._key)
        parts = Manifest.read(self._key, manifest).names(names, self._key) if manifest else []
        answer: Sequence[Any] = SWAP.run(
            connection,
            [names.of(self._key), names.claim(self._key), *uploaded, *parts],
            self._value,
            b"%d" % self._payload.revision,
            self._ttl,
            b"%d" % len(uploaded),
            manifest,
            deadline=self._deadline,
        )
        if not (type(answer) is list and answer and all(type(part) is bytes for part in answer)):
            raise GarbledError("the answer is not one of the script's")
        if answer[0] == b"revision":
            self._compare(connection, answer[-1].decode(errors="replace"))
            answer = [b"swapped"]
        if answer[0] == b"swapped" and self._channel.is_replicated:
            confirm(connection, self._deadline, self._doing)
        return answer

    def _compare(self, connection: Connection, current: str) -> None:
        if current == str(self._payload.revision):
            with suppress(KeyExistsError):
                if is_stored(self._channel, connection, self._payload, self._deadline):
                    return
        raise RevisionConflictError(
            f"revision {self._payload.revision} of {self._key} does not follow the current one",
            found=[f"revision {current}"],
            remedy="get the current version and swap the revision after it",
        )

    def _failure(self, kind: bytes) -> PskError:
        place = self._channel.server.describe()
        if kind == b"missing":
            return MissingKeyError(
                f"{place} holds no object {self._key}, so it cannot be swapped", remedy="put it first"
            )
        if kind == b"vanished":
            return ChannelUnavailableError(
                f"the next version of {self._key} vanishes in {place} before it is in place", remedy=_NO_ROOM
            )
        return ChannelDataError(
            f"what {place} holds as {self._key} is not an object of psk", remedy="evict it, or use another prefix="
        )
