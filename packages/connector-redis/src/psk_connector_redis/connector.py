"""How does the Redis connector keep the contract, for one prefix in one database of Redis, Valkey or KeyDB?"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Self

from psk.connectors import (
    DEFAULT_TIMEOUT,
    ContextManaged,
    Rebuilding,
    check_object_id,
    check_range,
    check_timeout,
    check_ttl,
    key_of,
    validate_plain_key,
)
from psk_connector_redis.addresses import with_port
from psk_connector_redis.batches import Batches
from psk_connector_redis.channel import Channel
from psk_connector_redis.claims import Claims
from psk_connector_redis.expiry import Expiry
from psk_connector_redis.listing import Listing
from psk_connector_redis.objects import evict, exists, get_object, milliseconds, put_object
from psk_connector_redis.ranges import get_range
from psk_connector_redis.server import Server
from psk_connector_redis.settings import Settings
from psk_connector_redis.subscriber import dismiss
from psk_connector_redis.swap import Swapping
from psk_connector_redis.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Mapping

    from redis.credentials import CredentialProvider

    from psk.connectors import Frames, Key, Payload


class RedisConnector(Batches, Claims, Expiry, Listing, Swapping, Waiting, ContextManaged, Rebuilding):
    """Keep objects in a Redis, Valkey or KeyDB server, or in a cluster of them.

    Args:
        host: Where the server listens: a host, `host:port`, several of these separated by commas (nodes of a
            cluster, or sentinels), or the absolute path of a Unix socket. An IPv6 address needs brackets only
            where a port follows it.
        port: Of hosts that name none themselves; None for the usual one.
        scheme: One of redis, valkey, keydb; with an s at its end for TLS.
        user: The ACL user; None for the default one.
        db: Number of the database.
        prefix: What the names of all objects begin with: stores with different ones do not see each other.
        cluster: Whether the hosts are nodes of a cluster.
        sentinel: The service to ask sentinels at the hosts for; None if they are no sentinels.
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
        password: For this process only; elsewhere, and by default, the environment names it.
        credential_provider: Asked for user and password at each new connection; for this process only.

    Raises:
        ConnectorConfigError: An option makes no sense, or does not go with another.
        ChannelUnavailableError: Nobody answers, or the server refuses this user.
        DurabilityError: The server cannot promise the durability, or does not let it be known.
    """

    __slots__ = ("__weakref__", "_channel")

    scheme: ClassVar[str] = "redis"
    leaves_host: bool = True

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
    def durabilities(self) -> tuple[str, ...]:
        """What the server can promise, as far as it lets this user know."""
        return self._channel.server.durabilities

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Store the payload on the server and name it; see `Connector.put`."""
        channel = self._channel
        put_object(channel, payload, b"" if ttl is None else milliseconds(check_ttl(ttl)), channel.deadline(timeout))
        return payload.key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  the server says how much comes before it comes
        timeout: float | None = None,
    ) -> Frames | None:
        """Fetch the payload into private memory; see `Connector.get`."""
        channel = self._channel
        return get_object(channel, validate_plain_key(key), channel.deadline(timeout))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether an object stands under the key."""
        channel = self._channel
        return exists(channel, validate_plain_key(key), channel.deadline(timeout))

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object and its claim, or whatever else stands under its name."""
        channel = self._channel
        evict(channel, validate_plain_key(key), channel.deadline(timeout))

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002  nothing is under way
        """Close the connections of this process, and end its waits; the objects stay."""
        self._channel.server.close()
        dismiss(self._channel.server)

    def config(self) -> dict[str, object]:
        """Name the servers and the options that differ from the defaults; no password."""
        return self._channel.settings.config()

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the channel that `config()` or a URI names, with the password that the environment names."""
        self = cls.__new__(cls)
        self._open(Server(Settings.read(config)))
        return self

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object that does not exist yet; the server is not told."""
        check_timeout(timeout)
        if ttl is not None:
            check_ttl(ttl)
        self._channel.server.check_open()
        return key_of(object_id)

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved."""
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Fetch a part of the payload."""
        check_range(offset, length)
        channel = self._channel
        return get_range(channel, validate_plain_key(key), offset, length, channel.deadline(timeout))

    def __repr__(self) -> str:
        return f"RedisConnector.from_config({self.config()!r})"

    def __del__(self) -> None:
        # A finaliser never raises: the instance may be half made, or the interpreter ending. It does not take the lock
        # of the listening thread either, which may be frozen with it; nobody waits in a connector that nobody has.
        try:  # noqa: SIM105  at the very end `suppress` has gone with its module
            self._channel.server.close()
        except Exception:  # noqa: BLE001, S110  as above
            pass


def _place(scheme: str, user: str | None, host: str, port: int | None) -> dict[str, object]:
    """Write as a URI does where the server listens."""
    before = f"{user}@" if user else ""
    if host.startswith("/"):
        return {"scheme": f"{scheme}+unix", "authority": before, "path": host}
    return {"scheme": scheme, "authority": before + with_port(host, port)}


def _without_defaults(options: dict[str, object]) -> dict[str, object]:
    return {name: value for name, value in options.items() if value != getattr(_DEFAULTS, name)}


_DEFAULTS = Settings()
