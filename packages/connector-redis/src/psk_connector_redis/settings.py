"""Read the options of a Redis channel from a URI or a configuration, and write them in their one canonical form."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, fields
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Final, Self

from psk.connectors import DEFAULT_TIMEOUT, DURABILITIES, as_count, as_flag, as_seconds, as_text, read_options, shown
from psk.connectors.toolkit import Address
from psk.errors import ConnectorConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

TLS_SCHEMES: Final = ("rediss", "valkeys", "keydbs")
SOCKET_SCHEMES: Final = ("redis+unix", "valkey+unix", "keydb+unix")
SCHEMES: Final = ("redis", "valkey", "keydb", *TLS_SCHEMES, *SOCKET_SCHEMES)
"""Every scheme of this connector; the name of the product changes messages alone."""

DEFAULT_PORT: Final = 6379
DEFAULT_SENTINEL_PORT: Final = 26379
MOST_ADDRESSES: Final = 64

_LONGEST_SOCKET: Final = 107
_is_user = re.compile(r"[!-9;-~]{1,128}").fullmatch
_is_prefix = re.compile(r"[!-z|~]{1,64}").fullmatch
_is_label = re.compile(r"[A-Za-z0-9_]{1,32}").fullmatch


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The options of one channel: its servers, and how to connect to them. Immutable, comparable, without secrets.

    Attributes:
        scheme: One of `SCHEMES`.
        user: The ACL user; None for the default one.
        addresses: Where to connect first: the server, nodes of a cluster, or sentinels.
        db: Number of the database.
        prefix: What the names of all objects of this channel begin with.
        cluster: Whether the addresses are nodes of a cluster.
        sentinel: The service that sentinels at the addresses know; None if they are not sentinels.
        durability: What an acknowledged `put` survives.
        timeout: Seconds a call may take when it does not say otherwise.
        connect_timeout: Seconds that making one connection may take.
        connections: Most connections to each server from one process.
        retries: How often a call is repeated after its connection broke.
        credentials: Which of several passwords of this process to use: `PSK_REDIS_PASSWORD_<credentials>`.
        ca: Path of the certificates of the authorities that are believed; None for the system's.
        cert: Path of the client's own certificate.
        key: Path of the key of that certificate.
        verify_host: Whether a server's certificate must be for the host that was asked for.
    """

    scheme: str = "redis"
    user: str | None = None
    addresses: tuple[Address, ...] = (Address("localhost", DEFAULT_PORT),)
    db: int = 0
    prefix: str = "psk"
    cluster: bool = False
    sentinel: str | None = None
    durability: str = "volatile"
    timeout: float = DEFAULT_TIMEOUT
    connect_timeout: float = 10.0
    connections: int = 16
    retries: int = 5
    credentials: str | None = None
    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verify_host: bool = True

    @property
    def is_tls(self) -> bool:
        """Whether connections use TLS."""
        return self.scheme in TLS_SCHEMES

    @property
    def is_socket(self) -> bool:
        """Whether the server is on this host, behind a Unix socket."""
        return self.scheme in SOCKET_SCHEMES

    @property
    def has_several(self) -> bool:
        """Whether another server may take over from one that fails."""
        return self.cluster or self.sentinel is not None

    def describe(self) -> str:
        """Name the servers for a message: `redis at 127.0.0.1:6379, database 0`."""
        product = self.scheme[:-1] if self.is_tls else self.scheme.partition("+")[0]
        places = ", ".join(map(str, self.addresses))
        if self.cluster:
            return f"{product} cluster at {places}"
        if self.sentinel is not None:
            return f"{product} service {shown(self.sentinel)} of the sentinels at {places}, database {self.db}"
        return f"{product} at {places}, database {self.db}"

    @classmethod
    def read(cls, config: Mapping[str, object]) -> Self:
        """Read a configuration, as `config()` writes it or as `parse_uri` returns it, every value perhaps as text.

        Raises:
            ConnectorConfigError: An option is unknown, is not valid, or contradicts another.
        """
        scheme = config.get("scheme", "redis")
        if scheme not in SCHEMES:
            raise ConnectorConfigError(
                f"{shown(scheme)} is not a scheme of the Redis connector",
                found=SCHEMES,
                remedy="use one of those found",
            )
        options = read_options(config, scheme=str(scheme), readers=READERS)
        return cls(scheme=str(scheme), **_checked(str(scheme), options))  # type: ignore[arg-type]  # read as declared

    def config(self) -> dict[str, object]:
        """Write the settings as plain values, without those that have their default."""
        config: dict[str, object] = {"scheme": self.scheme}
        port = DEFAULT_SENTINEL_PORT if self.sentinel else DEFAULT_PORT
        if authority := _write_authority(self.user, self.addresses, port):
            config["authority"] = authority
        if self.is_socket:
            config["path"] = self.addresses[0].host
        elif self.db:
            config["path"] = f"/{self.db}"
        for field in fields(self):
            value = getattr(self, field.name)
            if field.name in READERS and value != field.default and not (field.name == "db" and "path" in config):
                config[field.name] = value
        if self.is_socket and self.db:
            config["db"] = self.db
        return config


def _checked(scheme: str, options: dict[str, object]) -> dict[str, object]:
    """Combine the parts of a URI with the options, and refuse what contradicts itself."""
    path = str(options.pop("path", ""))
    authority = str(options.pop("authority", ""))
    port = DEFAULT_SENTINEL_PORT if "sentinel" in options else DEFAULT_PORT
    try:
        options["user"], options["addresses"] = _read_authority(authority, port)
    except ValueError as error:
        # Not echoed: it may be a password that was written in an unusual way.
        raise ConnectorConfigError(f"the hosts of a {scheme!r} URI cannot be read", remedy=f"give {error}") from None
    if scheme in SOCKET_SCHEMES:
        if not path or authority.rpartition("@")[2]:
            raise _contradiction(f"a {scheme} URI needs the path of a socket", f"write {scheme}:///path/to.sock?db=0")
        if len(os.fsencode(path)) > _LONGEST_SOCKET:
            raise _contradiction(
                f"the path of a socket has more than {_LONGEST_SOCKET} bytes",
                "use a shorter one, such as a symbolic link",
            )
        options["addresses"] = (Address(path, 0),)
    elif path.strip("/"):
        try:
            in_path = as_count(path.strip("/"))
        except ValueError:
            # Not echoed: it may be the rest of a password with a slash in it.
            raise _contradiction(
                "the path of the URI is not the number of a database", "write redis://host:port/0"
            ) from None
        if options.setdefault("db", in_path) != in_path:
            raise _contradiction("a URI names two databases", "name it once, as in redis://host/2")
    _check_together(scheme, options)
    return options


def _check_together(scheme: str, options: dict[str, object]) -> None:
    several = options.get("cluster") or "sentinel" in options
    if options.get("cluster") and ("sentinel" in options or options.get("db")):
        raise _contradiction("a cluster has one database and no sentinels", "omit sentinel= and the database")
    if scheme in SOCKET_SCHEMES and several:
        raise _contradiction("a Unix socket leads to one server", "omit cluster= and sentinel=")
    if not several and len(options["addresses"]) > 1:  # type: ignore[arg-type]  # a tuple, see _read_authority
        raise _contradiction(
            "several hosts need cluster=true or sentinel=NAME", "give one host, or one of these options"
        )
    if scheme not in TLS_SCHEMES and (given := [name for name in TLS_OPTIONS if name in options]):
        raise _contradiction(f"{given[0]}= is for connections with TLS", f"use one of {', '.join(TLS_SCHEMES)}")
    if "key" in options and "cert" not in options:
        raise _contradiction("key= was given without cert=", "give both")


def _contradiction(what: str, remedy: str) -> ConnectorConfigError:
    return ConnectorConfigError(what, remedy=remedy)


def _prefix(value: object) -> str:
    if isinstance(value, str) and _is_prefix(value):
        return value
    message = "1 to 64 printable ASCII characters without spaces and braces"
    raise ValueError(message)


def _label(value: object) -> str:
    if isinstance(value, str) and _is_label(value):
        return value
    # Not echoed: it may be a password, given in place of its label.
    raise ConnectorConfigError(
        "credentials= is not the label of a password",
        remedy="give up to 32 letters, digits and _, as in credentials=lab",
    )


def with_port(hosts: str, port: int | None) -> str:
    """Write hosts as the authority of a URI has them: bare IPv6 in brackets, and a port where none is given.

    Args:
        hosts: Separated by commas, perhaps after a user.
        port: The port of hosts that have none; None for the usual one.
    """
    before, at, places = hosts.rpartition("@")
    written = map(bracketed, places.split(","))
    return f"{before}{at}" + ",".join(
        place if port is None or (":" in place and not place.endswith("]")) else f"{place}:{port}" for place in written
    )


def bracketed(place: str) -> str:
    """Put a bare IPv6 address into brackets; return anything else as it is."""
    try:
        return f"[{IPv6Address(place)}]" if ":" in place else place
    except ValueError:
        return place


def _read_authority(authority: str, default_port: int) -> tuple[str | None, tuple[Address, ...]]:
    """Read `user@host:port,host:port`; without a host it is this one.

    Raises:
        ValueError: It is malformed; the message says what is expected.
    """
    before, at, hosts = authority.rpartition("@")
    if at and not _is_user(before):
        message = "a user of printable ASCII, without a password, before the @"
        raise ValueError(message)
    try:
        found = tuple(Address.parse(written, default_port) for written in (hosts or "localhost").split(","))
    except ValueError:
        message = "hosts as name, name:port or [IPv6]:port, separated by commas"
        raise ValueError(message) from None
    if len(found) > MOST_ADDRESSES or len(set(found)) < len(found):
        message = f"up to {MOST_ADDRESSES} hosts, each once"
        raise ValueError(message)
    return before or None, found


def _write_authority(user: str | None, addresses: tuple[Address, ...], default_port: int) -> str:
    hosts = ",".join(str(address).removesuffix(f":{default_port}") for address in addresses if not address.is_socket)
    return f"{user}@{hosts}" if user else hosts


def _durability(value: object) -> str:
    if value in DURABILITIES:
        return str(value)
    message = f"one of {', '.join(DURABILITIES)}"
    raise ValueError(message)


def _connections(value: object) -> int:
    if number := as_count(value):
        return number
    message = "a whole number of 1 or more"
    raise ValueError(message)


def _file(value: object) -> str:
    if isinstance(value, str) and value.startswith("/"):
        return value
    message = "the absolute path of a PEM file"
    raise ValueError(message)


TLS_OPTIONS: Final = ("ca", "cert", "key", "verify_host")

READERS: Final[Mapping[str, Callable[[object], object]]] = {
    "authority": str,
    "path": as_text,
    "db": as_count,
    "prefix": _prefix,
    "cluster": as_flag,
    "sentinel": as_text,
    "durability": _durability,
    "timeout": as_seconds,
    "connect_timeout": as_seconds,
    "connections": _connections,
    "retries": as_count,
    "credentials": _label,
    "ca": _file,
    "cert": _file,
    "key": _file,
    "verify_host": as_flag,
}
"""The reader of each option, from text or a plain value."""
