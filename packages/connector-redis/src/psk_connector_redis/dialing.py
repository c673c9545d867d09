"""How is one connection made, and authenticated, before time is up? In a thread that nobody has to wait for."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from redis.connection import Connection, UnixDomainSocketConnection
from redis.exceptions import RedisError
from redis.maint_notifications import MaintNotificationsConfig

from psk.connectors import Wake
from psk.errors import PskError
from psk_connector_redis.link import link_over
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.tls import TlsConnection, context_of

if TYPE_CHECKING:
    import ssl

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.connection_socket import RedisConnection
    from psk_connector_redis.credentials import Credentials
    from psk_connector_redis.link import Link
    from psk_connector_redis.settings import Settings

_SHORTEST = 0.001


class Dialer:
    """Makes connections to the servers of one channel.

    Args:
        settings: How.
        credentials: As whom.
        db: The database; 0 for sentinels, which have none.
    """

    __slots__ = ("_context", "_credentials", "_db", "_settings")

    def __init__(self, settings: Settings, credentials: Credentials, db: int) -> None:
        self._settings = settings
        self._credentials = credentials
        self._db = db
        self._context: ssl.SSLContext | None = None

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for dialers whose connections are as good as each other's, but for the database."""
        it = self._settings
        place = (it.scheme, it.addresses, it.cluster, it.sentinel)
        return (*place, it.ca, it.cert, it.key, it.verify_host, self._credentials.identity)

    def dial(self, address: Address, deadline: float) -> Link:
        """Return a new link.

        A name that is not resolved, a listener that is frozen, a handshake that drips: each can hold a thread
        much longer than the timeout of its socket. So another thread does it, and is left alone when time is up.

        Raises:
            OSError: Nobody answers there; TimeoutError if not in time.
            redis.exceptions.RedisError: The server refuses.
            ChannelUnavailableError: The environment does not allow a connection to there.
        """
        self._credentials.check_host(address)
        seconds = min(self._settings.connect_timeout, max(_SHORTEST, deadline - time.monotonic()))
        attempt = _Attempt(self._connection(address, seconds))
        return attempt.result(seconds)

    def _connection(self, address: Address, seconds: float) -> RedisConnection:
        settings = self._settings
        options: dict[str, Any] = {
            "db": self._db,
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "protocol": 2,
            "driver_info": None,
            "maint_notifications_config": MaintNotificationsConfig(enabled=False),
        }
        if self._credentials.exist():
            options["credential_provider"] = self._credentials
        kind: Any = Connection
        if address.is_socket:
            kind = UnixDomainSocketConnection
            options["path"] = address.host
        else:
            options["host"], options["port"] = address
        if settings.is_tls:
            kind = TlsConnection
            self._context = options["context"] = self._context or context_of(settings)
            options["ssl_ca_certs"], options["ssl_check_hostname"] = settings.ca, settings.verify_host
            options["ssl_certfile"], options["ssl_keyfile"] = settings.cert, settings.key
        connection: RedisConnection = kind(**options)
        return connection


class _Attempt:
    """One connection in the making, and who wants it."""

    __slots__ = ("_connection", "_done", "_error", "_is_done", "_is_wanted", "_lock")

    def __init__(self, connection: RedisConnection) -> None:
        self._connection = connection
        self._done = Wake()
        self._is_done = False
        self._error: BaseException | None = None
        self._is_wanted = True
        self._lock = threading.Lock()

    def result(self, seconds: float) -> Link:
        try:
            threading.Thread(target=self._run, name="psk-redis-dial", daemon=True).start()
        except RuntimeError:
            self._run()  # at the interpreter's end no thread can be started
        try:
            self._done.wait(seconds)
        finally:
            with self._lock:
                is_done, self._is_wanted = self._is_done, False
        if not is_done:
            message = "no connection in time"
            raise TimeoutError(message)
        if self._error is not None:
            raise self._error
        return link_over(self._connection)

    def _run(self) -> None:
        try:
            self._connection.connect()
        except BaseException as error:  # noqa: BLE001  told to whoever waits
            # redis-py stumbles over answers that make no sense, such as a login that is answered with MOVED.
            is_known = isinstance(error, OSError | RedisError | Refusal | PskError)
            self._error = error if is_known else GarbledError("the login was answered with nonsense")
            self._connection.disconnect()
        with self._lock:
            self._is_done = True
            self._done.set()
            if not self._is_wanted:
                self._connection.disconnect()
