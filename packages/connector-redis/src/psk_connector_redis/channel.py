"""One channel: its Redis names and commands, and the exchanges with its servers over pools of connections."""

from __future__ import annotations

import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import deadline_after, validate_plain_key
from psk.connectors.toolkit import Patience, Pool
from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError, PskError
from psk_connector_redis.connection import Connection, Dialer
from psk_connector_redis.credentials import SENTINEL_VARIABLE, Credentials
from psk_connector_redis.durability import check, examine
from psk_connector_redis.failures import classify, failure
from psk_connector_redis.protocol import Refusal, pack
from psk_connector_redis.routing import Cluster, Sentinels, moved_to

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from psk.connectors import Key, Payload
    from psk.connectors.toolkit import Address, Borrowed, Subscriber
    from psk_connector_redis.credentials import CredentialProvider
    from psk_connector_redis.durability import Facts
    from psk_connector_redis.protocol import Buffer
    from psk_connector_redis.scripts import Script
    from psk_connector_redis.settings import Settings

    T = TypeVar("T")

FIRST_BYTES: Final = 6 * 1024 * 1024
"""Bytes of an object that are fetched by one command. A server copies what it answers, and its allocator (jemalloc)
returns memory from 8 MiB on to the system at once, so that each longer answer costs it a page fault for each page."""

_is_key = re.compile(r"[0-9a-f]{32}").fullmatch
_match_object = re.compile(rb"\{([0-9a-f]{32})\}").fullmatch
_match_companion = re.compile(rb"\{([0-9a-f]{32})\}:(?:claim|part:[0-9a-z]+:[0-9]+)").fullmatch
_SPECIAL: Final = re.compile(rb"([\\*?\[\]])")
_ANY_KEY: Final = "0" * 32
_ASKING: Final = pack(b"ASKING")


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

    __slots__ = ("_get", "_get_whole", "_news", "_put", "_put_expiring", "_start")

    def __init__(self, names: Names) -> None:
        name = names.of(_ANY_KEY)
        self._put = _with_gap(pack(b"SET", name, b"", b"NX").partition(b"$0\r\n")[0]) + b"$%d\r\n"
        self._put_expiring = self._put.replace(b"*4", b"*6", 1)
        self._news = _with_gap(pack(b"PUBLISH", names.news(_ANY_KEY), b""))
        self._get = _with_gap(pack(b"GETRANGE", name, b"0", b"%d" % (FIRST_BYTES - 1)))
        self._get_whole = _with_gap(pack(b"GET", name))
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
        """Fetch what is stored for an object, up to `FIRST_BYTES` of it."""
        return self._get % key.encode()

    def get_whole(self, key: Key) -> bytes:
        """Fetch what is stored for an object, however long it is."""
        return self._get_whole % key.encode()

    def start(self, key: Key, nbytes: int) -> bytes:
        """Fetch the first bytes of what is stored for an object."""
        last = b"%d" % (nbytes - 1)
        return self._start % (key.encode(), len(last), last)


def _with_gap(packed: bytes) -> bytes:
    return packed.replace(b"%", b"%%").replace(_ANY_KEY.encode(), b"%b")


class Server:
    """The servers of one channel, with a pool of connections to each.

    Thread-safe. A forked child has connections of its own; what it closes disturbs no other process.

    Args:
        settings: Which servers, and how to connect to them.
        password: For this process only; None to look in the environment.
        credential_provider: Asked for user and password at each new connection, instead.

    Raises:
        ChannelUnavailableError: The servers do not answer, or refuse this user.
        DurabilityError: The servers cannot promise the durability of the settings, or this user may not know.
    """

    settings: Settings
    subscribers: dict[Address, Subscriber]  # that listen for the waits of this instance, by the server
    durabilities: tuple[str, ...]
    evicts: bool  # whether a server is known to evict objects to make room

    def __init__(
        self,
        settings: Settings,
        *,
        password: str | None = None,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        self.settings = settings
        credentials = Credentials(settings, user=settings.user, password=password, provider=credential_provider)
        self._dialer = Dialer(settings, credentials, settings.db)
        self._pools: dict[Address, Pool[Connection]] = {}
        self.subscribers = {}
        self._is_closed = False
        self._topology = self._topology_of(settings)
        try:
            self.durabilities = self._open()
        except BaseException:
            self.close()
            raise

    def connect(self, name: bytes | None, deadline: float) -> Connection:
        """Make a connection outside the pool, as a subscriber needs; the caller closes it."""
        self.check_open()
        return self._dial(self._address_of(name, deadline), deadline)

    def places(self, names: Sequence[bytes], deadline: float) -> dict[Address, list[int]]:
        """Group names by the server that holds them: for each server the places of its names in the sequence.

        Raises:
            PskError: The server is not known, and cannot be asked for.
        """

        def once(_: Address | None) -> dict[Address, list[int]]:
            places: dict[Address, list[int]] = {}
            for place, name in enumerate(names):
                places.setdefault(self._address_of(name, deadline), []).append(place)
            return places

        return self._repeat(once, deadline, "finding the servers of some names")

    def run(
        self, exchange: Callable[[Connection], T], *, name: bytes | None, deadline: float, doing: str, nbytes: int = 0
    ) -> T:
        """Do one exchange with the server that holds a name; repeat it while that can help and there is time.

        Args:
            exchange: Sends and receives on the connection; raises a `Refusal` that it has no use for. It must do no
                harm when it is done twice.
            name: The Redis name concerned; None if any server will do.
            deadline: When it must be over, by `time.monotonic`.
            doing: What it does, as a phrase for messages: "putting 0123...".
            nbytes: Size of what should be stored.

        Raises:
            PskError: It cannot be done, or not in time.
        """

        def once(instead: Address | None) -> T:
            if instead is None:
                with self._borrow(self._address_of(name, deadline), deadline) as connection:
                    return exchange(connection)
            with self._borrow(instead, deadline) as connection:
                # The next command is for a name that is being moved there. If this is refused, so is that one.
                connection.send((_ASKING,), deadline)
                connection.reply(deadline)
                return exchange(connection)

        return self._repeat(once, deadline, doing, nbytes)

    def run_on_each(self, exchange: Callable[[Connection], T], *, deadline: float, doing: str) -> list[T]:
        """Do one exchange with each server that holds objects, as `run` does; return the answers."""
        answers: dict[Address, T] = {}

        def once(_: Address | None) -> list[T]:
            topology = self._topology
            for address in self.settings.addresses if topology is None else topology.primaries(deadline):
                if address not in answers:
                    with self._borrow(address, deadline) as connection:
                        answers[address] = exchange(connection)
            return list(answers.values())

        return self._repeat(once, deadline, doing)

    def describe(self) -> str:
        """Name the servers for a message: `redis at 127.0.0.1:6379, database 0`."""
        return self.settings.describe()

    def check_open(self) -> None:
        """Raise ConnectorClosedError after `close`."""
        if self._is_closed:
            raise ConnectorClosedError(f"the connector to {self.describe()} is closed", remedy="open another")

    def close(self) -> None:
        """Close the connections of this process, those in use when they come back; end its waits."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            pool.close()
        for subscriber in list(self.subscribers.values()):
            subscriber.close()

    def _open(self) -> tuple[str, ...]:
        """Ask the servers what they promise: each of them, if a promise is asked for."""
        settings = self.settings
        deadline = time.monotonic() + min(settings.connect_timeout, settings.timeout)
        doing = "opening it"

        def ask(connection: Connection) -> Facts:
            return examine(connection, deadline)

        try:
            if settings.durability == "volatile":
                facts = [self.run(ask, name=None, deadline=deadline, doing=doing)]
            else:
                facts = self.run_on_each(ask, deadline=deadline, doing=doing)
        except DeadlineError:
            # The caller gave no deadline.
            raise ChannelUnavailableError(
                f"no answer in time from {self.describe()}",
                remedy="check the server and the network, or give a longer connect_timeout="
                + ("; for a server without TLS use a scheme without s, as redis" if settings.is_tls else ""),
            ) from None
        self.evicts = any(one.evicts for one in facts)
        return check(settings.durability, facts, self.describe())

    def _repeat(self, once: Callable[[Address | None], T], deadline: float, doing: str, nbytes: int = 0) -> T:
        patience: Patience | None = None
        instead: Address | None = None
        refusal: Refusal | None = None
        settings = self.settings
        while True:
            try:
                return once(instead)
            except PskError:
                raise
            except (OSError, Refusal) as error:
                # Without the frames, among them this one: it would keep itself alive.
                trouble = error.with_traceback(None)
            # Not in the handler: the server may have repeated what was sent, and this must not be chained.
            patience = patience or Patience(deadline, partial(classify, settings=settings), retries=settings.retries)
            if not patience.after(trouble):
                if refusal is not None and isinstance(trouble, TimeoutError):
                    trouble = refusal  # time ran out in the attempt after it
                is_late = time.monotonic() >= deadline
                raise failure(trouble, doing, self.describe(), nbytes=nbytes, is_late=is_late, is_tls=settings.is_tls)
            refusal = trouble if isinstance(trouble, Refusal) else None
            if self._topology is not None:
                self._topology.learn(refusal)
            instead = moved_to(refusal)[1] if refusal is not None and refusal.code == "ASK" else None

    def _address_of(self, name: bytes | None, deadline: float) -> Address:
        """Return the server that holds a name; None: any."""
        topology = self._topology
        return self.settings.addresses[0] if topology is None else topology.address_of(name, deadline)

    def _topology_of(self, settings: Settings) -> Sentinels | Cluster | None:
        if settings.cluster:
            return Cluster(settings.addresses, self._borrow)
        if settings.sentinel is not None:
            credentials = Credentials(settings, user=None, variable=SENTINEL_VARIABLE)
            return Sentinels(settings.addresses, settings.sentinel, Dialer(settings, credentials, db=0).dial)
        return None  # one server holds everything

    def _borrow(self, address: Address, deadline: float) -> Borrowed[Connection]:
        self.check_open()
        pool = self._pools.get(address)
        if pool is None:
            # Of two threads, one wins; the pool of the other is empty.
            pool = self._pools.setdefault(address, Pool(partial(self._dial, address), self.settings.connections))
        return pool.borrow(deadline)

    def _dial(self, address: Address, deadline: float) -> Connection:
        """Connect, and make sure each time that the server is what it should be: it may have been restarted."""
        connection = self._dialer.dial(address, deadline)
        try:
            if self._topology is not None:
                self._topology.check(connection, deadline)
            if self.settings.durability != "volatile":
                check(self.settings.durability, [examine(connection, deadline)], f"the server at {address}")
        except BaseException:
            connection.close()
            raise
        return connection


class Channel:
    """One prefix in one database.

    Attributes:
        server: The servers that hold it.
        settings: The options of the URI.
        names: Its Redis names.
        commands: What is sent for one object.
        run: Does one exchange with the server that holds a name, see `Server.run`.
    """

    __slots__ = ("commands", "names", "run", "server", "settings")

    def __init__(self, server: Server) -> None:
        self.server = server
        self.settings: Settings = server.settings
        self.names = Names(self.settings.prefix)
        self.commands = Commands(self.names)
        self.run = server.run

    @property
    def is_replicated(self) -> bool:
        """Whether a replica must have confirmed what is put."""
        return self.settings.durability == "replicated"

    def deadline(self, timeout: float | None) -> float:
        """Return when a call must be over; see `deadline_after`."""
        if timeout is None:
            return time.monotonic() + self.settings.timeout
        return deadline_after(timeout, self.settings.timeout)

    def checked(self, key: object) -> Key:
        """Return a key that is an object id; any other is an InvalidKeyError, see `validate_plain_key`."""
        return key if isinstance(key, str) and _is_key(key) else validate_plain_key(key)

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
