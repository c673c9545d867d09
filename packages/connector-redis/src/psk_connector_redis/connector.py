"""Keep the contract of connectors for one prefix in one database of Redis, Valkey or KeyDB."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from psk.connectors import (
    DEFAULT_TIMEOUT,
    ContextManaged,
    Finalised,
    Rebuilding,
    Reserving,
    check_claim,
    check_object_id,
    check_range,
    check_timeout,
    check_ttl,
    deadline_error,
    listed,
)
from psk.connectors.toolkit import ToldWatcher
from psk.errors import CapabilityError
from psk_connector_redis import batches, objects
from psk_connector_redis.channel import Channel, Server, milliseconds
from psk_connector_redis.reading import get_object, get_range
from psk_connector_redis.settings import Settings, with_port
from psk_connector_redis.waiting import LOOK_AGAIN_SECONDS, Notices, await_any
from psk_connector_redis.writing import Swap, put_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors import Frames, Key, Payload
    from psk_connector_redis.credentials import CredentialProvider


class RedisConnector(ContextManaged, Finalised, Rebuilding, Reserving):
    """Store objects in a Redis, Valkey or KeyDB server, or in a cluster of them.

    Args:
        host: Where the server listens: a host, `host:port`, several of these separated by commas (nodes of a
            cluster, or sentinels), or the absolute path of a Unix socket. An IPv6 address needs brackets only
            where a port follows it.
        port: Of hosts that name none themselves; None for the usual one.
        scheme: One of redis, valkey, keydb; with an s at its end for TLS.
        user: The ACL user; None for the default one.
        db: Number of the database.
        prefix: The beginning of the names of all objects: stores with different prefixes do not see each other.
        cluster: Whether the hosts are nodes of a cluster.
        sentinel: The service to ask sentinels at the hosts for; None if they are not sentinels.
        durability: What an acknowledged `put` survives: "volatile" (nothing is promised), "host" (the death of any
            process, the server's included), "disk" (loss of power) or "replicated" (loss of the machine).
        timeout: Seconds a call may take when it does not say otherwise.
        connect_timeout: Seconds that making one connection may take.
        connections: Most connections to each server from one process.
        retries: How often a call is repeated after its connection broke.
        credentials: Which password to use: that of `PSK_REDIS_PASSWORD_<credentials>`.
        ca: Path of the certificates of the authorities that are believed; None for the system's.
        cert: Path of the client's own certificate.
        key: Path of the key of that certificate.
        verify_host: Whether a server's certificate must be for the host that was asked for.
        password: For this process only; by default, and in other processes, the environment names it.
        credential_provider: Asked for user and password at each new connection, by its method `get_credentials`, as a
            `redis.credentials.CredentialProvider`; for this process only.

    Raises:
        ConnectorConfigError: An option is not valid, or contradicts another.
        ChannelUnavailableError: The server does not answer, or refuses this user.
        DurabilityError: The server cannot promise the durability, or this user may not know.
    """

    __module__ = "psk_connector_redis"  # pickles contain it
    __slots__ = ("__weakref__", "_channel")

    scheme: ClassVar[str] = "redis"

    def __init__(
        self,
        host: str = "localhost",
        port: int | None = None,
        *,
        scheme: str = "redis",
        user: str | None = None,
        db: int = 0,
        prefix: str = "psk",
        cluster: bool = False,
        sentinel: str | None = None,
        durability: str = "volatile",
        timeout: float = DEFAULT_TIMEOUT,
        connect_timeout: float = 10.0,
        connections: int = 16,
        retries: int = 5,
        credentials: str | None = None,
        ca: str | None = None,
        cert: str | None = None,
        key: str | None = None,
        verify_host: bool = True,
        password: str | None = None,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        options = {
            "db": db,
            "prefix": prefix,
            "cluster": cluster,
            "sentinel": sentinel,
            "durability": durability,
            "timeout": timeout,
            "connect_timeout": connect_timeout,
            "connections": connections,
            "retries": retries,
            "credentials": credentials,
            "ca": ca,
            "cert": cert,
            "key": key,
            "verify_host": verify_host,
        }
        settings = Settings.read({**_place(scheme, user, host, port), **_without_defaults(options)})
        self._open(Server(settings, password=password, credential_provider=credential_provider))

    def _open(self, server: Server) -> None:
        self._channel = Channel(server)

    @property
    def leaves_host(self) -> bool:
        """Whether bytes leave this host's memory; by a Unix socket they do not."""
        return not self._channel.settings.is_socket

    @property
    def durabilities(self) -> tuple[str, ...]:
        """The durabilities that the server can promise, as far as this user may know."""
        return self._channel.server.durabilities

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Store the payload on the server and return its key; see `Connector.put`."""
        channel = self._channel
        put_object(channel, payload, b"" if ttl is None else milliseconds(check_ttl(ttl)), channel.deadline(timeout))
        return payload.key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  the server announces the size
        timeout: float | None = None,
    ) -> Frames | None:
        """Fetch the payload into private memory; see `Connector.get`."""
        channel = self._channel
        return get_object(channel, channel.checked(key), channel.deadline(timeout))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the server holds the object."""
        channel = self._channel
        return objects.exists(channel, channel.checked(key), channel.deadline(timeout))

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object and its claim, or whatever else has its name."""
        channel = self._channel
        objects.evict(channel, channel.checked(key), channel.deadline(timeout))

    def close(self, timeout: float | None = None) -> None:
        """Close the connections of this process, and end its waits; the objects stay. It does not wait."""
        check_timeout(timeout)
        self._channel.server.close()

    def config(self) -> dict[str, object]:
        """Return the servers and the options that differ from the defaults; no password."""
        return self._channel.settings.config()

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the channel of a `config()` or a URI, with the password that the environment names."""
        self = cls.__new__(cls)
        self._open(Server(Settings.read(config)))
        return self

    def check_open(self) -> None:
        """Raise ConnectorClosedError after `close`."""
        self._channel.server.check_open()

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one; see `SupportsWait.wait`."""
        channel = self._channel
        wanted = [self._channel.checked(key) for key in keys]
        if found := await_any(channel, wanted, channel.deadline(timeout)):
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in {channel.server.describe()}")

    def watcher(self) -> ToldWatcher:
        """Return a new watcher of this channel, without keys; see `SupportsWatch.watcher`."""
        self.check_open()
        return ToldWatcher(Notices(self._channel), self.check_open, look_interval=LOOK_AGAIN_SECONDS)

    def put_batch(
        self,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> list[Key]:
        """Put each payload, many in one packet."""
        channel = self._channel
        left = b"" if ttl is None else milliseconds(check_ttl(ttl))
        batches.put_objects(channel, payloads, left, channel.deadline(timeout))
        return [payload.key for payload in payloads]

    def get_batch(
        self,
        keys: Sequence[Key],
        *,
        sizes: Sequence[int | None] | None = None,  # noqa: ARG002  the server announces each size
        timeout: float | None = None,
    ) -> list[Frames | None]:
        """Get each key; small objects come many in one packet."""
        wanted = [self._channel.checked(key) for key in keys]
        return batches.get_objects(self._channel, wanted, self._channel.deadline(timeout))

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether the server holds its object."""
        wanted = [self._channel.checked(key) for key in keys]
        return batches.objects_exist(self._channel, wanted, self._channel.deadline(timeout))

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""
        wanted = [self._channel.checked(key) for key in keys]
        batches.evict_objects(self._channel, wanted, self._channel.deadline(timeout))

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now, or never; its claim ends with it."""
        channel = self._channel
        left = b"" if ttl is None else milliseconds(check_ttl(ttl))
        return objects.renew_object(channel, channel.checked(key), left, channel.deadline(timeout))

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,  # noqa: ARG002  the server announces the size
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object and fetch it; see `SupportsTake.take`."""
        channel = self._channel
        deadline = channel.deadline(timeout)
        channel.checked(key)
        claimant = check_claim(claim).encode()
        left = b"" if lease is None else milliseconds(check_ttl(lease, "lease"))
        if channel.server.evicts:
            raise CapabilityError(
                f"{channel.server.describe()} may evict the claim of an object to make room",
                remedy="set maxmemory-policy noeviction in the server's configuration",
            )
        return objects.take_object(channel, key, claimant, left, deadline)

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version; see `SupportsSwap.swap`."""
        channel = self._channel
        deadline = channel.deadline(timeout)
        check_object_id(channel.checked(key), payload.object_id)
        Swap(channel, payload, b"same" if ttl is None else milliseconds(check_ttl(ttl)), deadline).run()

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Fetch a part of the payload."""
        check_range(offset, length)
        channel = self._channel
        return get_range(channel, channel.checked(key), offset, length, channel.deadline(timeout))

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects."""
        return iter(objects.list_keys(self._channel, self._channel.deadline(timeout)))

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of this channel, and nothing else.

        Deleted are strings under an object's name, damaged ones too, with their claims and parts. What is not a string
        was not written by psk, whatever its name: only an `evict` of its key removes it.
        """
        return objects.delete_all(self._channel, self._channel.deadline(timeout))

    def __repr__(self) -> str:
        return f"RedisConnector.from_config({self.config()!r})"


def _place(scheme: str, user: str | None, host: str, port: int | None) -> dict[str, object]:
    """Return the parts of a URI that name the server."""
    before = f"{user}@" if user else ""
    if host.startswith("/"):
        return {"scheme": f"{scheme}+unix", "authority": before, "path": host}
    return {"scheme": scheme, "authority": before + with_port(host, port)}


def _without_defaults(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value != getattr(_DEFAULTS, name)}


_DEFAULTS = Settings()
