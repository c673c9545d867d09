"""The names and commands of one channel, and the exchanges with the server that holds a name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import deadline_after
from psk_connector_redis.protocol import accepted, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from psk.connectors import Key, Payload
    from psk_connector_redis.connection import Connection
    from psk_connector_redis.protocol import Buffer
    from psk_connector_redis.scripts import Script
    from psk_connector_redis.server import Server
    from psk_connector_redis.settings import Settings

    T = TypeVar("T")

_match_object = re.compile(rb"\{([0-9a-f]{32})\}").fullmatch
_match_companion = re.compile(rb"\{([0-9a-f]{32})\}:(?:claim|part:[0-9a-z]+:[0-9]+)").fullmatch
_SPECIAL: Final = re.compile(rb"([\\*?\[\]])")
_ANY_KEY: Final = "0" * 32


def milliseconds(seconds: float) -> bytes:
    """Write a time to live or a lease as the server reads it."""
    return b"%d" % max(1, seconds * 1000)


class Names:
    """The Redis names of one channel; by their braces all of one object's are in one slot of a cluster.

    Args:
        prefix: What they begin with; without braces, which would take the place of ours.
    """

    __slots__ = ("_prefix",)

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix.encode() + b":"

    def of(self, key: Key) -> bytes:
        """Return the name of the object: of its payload, or of the manifest of its parts."""
        return b"%b{%b}" % (self._prefix, key.encode())

    def claim(self, key: Key) -> bytes:
        """Return the name of the claim of the process that has taken the object."""
        return b"%b{%b}:claim" % (self._prefix, key.encode())

    def part(self, key: Key, nonce: bytes, number: int) -> bytes:
        """Return the name of a part of a large payload; each upload has a nonce of its own."""
        return b"%b{%b}:part:%b:%d" % (self._prefix, key.encode(), nonce, number)

    def news(self, key: Key) -> bytes:
        """Return the Redis channel on which the arrival of the object is published."""
        return b"%b{%b}:new" % (self._prefix, key.encode())

    @property
    def pattern(self) -> bytes:
        """The pattern by which SCAN finds all names of this channel, and some others; the prefix is literal."""
        return _SPECIAL.sub(rb"\\\1", self._prefix) + b"{*"

    def key_of(self, name: bytes) -> Key | None:
        """Return the key of the object of this name; None if it is the name of anything else."""
        found = _match_object(name, len(self._prefix)) if name.startswith(self._prefix) else None
        return found[1].decode() if found else None

    def owner_of(self, name: bytes) -> Key | None:
        """Return the key of the object to which a claim or a part of this name belongs; None if it is neither."""
        found = _match_companion(name, len(self._prefix)) if name.startswith(self._prefix) else None
        return found[1].decode() if found else None


class Commands:
    """The commands of one channel for one object, packed once with gaps for key and size: small objects are many.

    Args:
        names: Of the channel; the names of all keys have the same length.
    """

    __slots__ = ("_get", "_news", "_put", "_put_expiring", "_start")

    def __init__(self, names: Names) -> None:
        name = names.of(_ANY_KEY)
        self._put = _with_gap(pack(b"SET", name, b"", b"NX").partition(b"$0\r\n")[0]) + b"$%d\r\n"
        self._put_expiring = self._put.replace(b"*4", b"*6", 1)
        self._news = _with_gap(pack(b"PUBLISH", names.news(_ANY_KEY), b""))
        self._get = _with_gap(pack(b"GET", name))
        self._start = _with_gap(pack(b"GETRANGE", name, b"0")).replace(b"*3", b"*4", 1) + b"$%d\r\n%b\r\n"

    def put(self, payload: Payload, ttl: bytes) -> list[Buffer]:
        """Store a payload unless the name is taken, and publish that the object is there: two answers.

        Args:
            payload: What to store.
            ttl: Its time to live in milliseconds; empty for none.
        """
        key = payload.key.encode()
        news = self._news % key
        if not ttl:
            return [self._put % (key, payload.nbytes), *payload.buffers(), b"\r\n$2\r\nNX\r\n" + news]
        end = b"\r\n$2\r\nNX\r\n$2\r\nPX\r\n$%d\r\n%b\r\n%b" % (len(ttl), ttl, news)
        return [self._put_expiring % (key, payload.nbytes), *payload.buffers(), end]

    def get(self, key: Key) -> bytes:
        """Fetch what is stored for an object."""
        return self._get % key.encode()

    def start(self, key: Key, nbytes: int) -> bytes:
        """Fetch the first bytes of what is stored for an object."""
        last = b"%d" % (nbytes - 1)
        return self._start % (key.encode(), len(last), last)


def _with_gap(packed: bytes) -> bytes:
    return packed.replace(b"%", b"%%").replace(_ANY_KEY.encode(), b"%b")


class Channel:
    """One prefix in one database.

    Attributes:
        server: The servers that hold it.
        settings: The options of the URI.
        names: Its Redis names.
        commands: What is sent for one object.
    """

    __slots__ = ("commands", "names", "server", "settings")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings: Settings = server.settings
        self.names = Names(self.settings.prefix)
        self.commands = Commands(self.names)

    @property
    def is_replicated(self) -> bool:
        """Whether a replica must have confirmed what is put."""
        return self.settings.durability == "replicated"

    def deadline(self, timeout: float | None) -> float:
        """Return when a call must be over; see `deadline_after`."""
        return deadline_after(timeout, self.settings.timeout)

    def run(
        self, exchange: Callable[[Connection], T], *, name: bytes | None, deadline: float, doing: str, nbytes: int = 0
    ) -> T:
        """Do one exchange with the server that holds a name, again after a failure; see `Server.run`."""
        return self.server.run(exchange, name=name, deadline=deadline, doing=doing, nbytes=nbytes)

    def ask(self, *command: bytes, name: bytes | None, deadline: float, doing: str, kind: type) -> Any:
        """Send one command to the server that holds a name, and return its answer, which must be of one type.

        Raises:
            PskError: It was refused, or not answered in time.
        """

        def exchange(connection: Connection) -> Any:
            connection.send((pack(*command),), deadline)
            return accepted(connection.reply(deadline), kind)

        return self.run(exchange, name=name, deadline=deadline, doing=doing)

    def run_script(self, script: Script, names: Sequence[bytes], *arguments: bytes, deadline: float, doing: str) -> Any:
        """Run a script on the server that holds its first name; all of them are of one object.

        Raises:
            PskError: It was refused, or not answered in time.
        """
        return self.run(
            lambda connection: script.run(connection, names, *arguments, deadline=deadline),
            name=names[0],
            deadline=deadline,
            doing=doing,
        )
