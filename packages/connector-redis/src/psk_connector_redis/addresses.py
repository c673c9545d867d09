"""Where do servers listen? Hosts with ports, or the path of a Unix socket, as the authority of a URI names them."""

from __future__ import annotations

import re
from ipaddress import IPv6Address
from typing import NamedTuple

DEFAULT_PORT = 6379
DEFAULT_SENTINEL_PORT = 26379
MOST_ADDRESSES = 64

_MOST_PORT = 65535
_split = re.compile(
    r"(?:(?P<name>[A-Za-z0-9._-]{1,255})|\[(?P<six>[0-9A-Fa-f:.%a-z]{2,64})\])(?::(?P<port>[0-9]{1,5}))?"
)
_is_user = re.compile(r"[!-9;-~]{1,128}").fullmatch


class Address(NamedTuple):
    """One place where a server listens: a host and its port, or the path of a Unix socket and port 0."""

    host: str
    port: int

    @property
    def is_socket(self) -> bool:
        """Whether this is a Unix socket."""
        return self.port == 0

    def __str__(self) -> str:
        if self.is_socket:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def told_address(host: bytes, port: object) -> Address:
    """Read an address that a server told.

    Raises:
        ValueError: It is none.
    """
    number = int(port)  # type: ignore[call-overload]  # TypeError is for the caller, too
    if not host or not 0 < number <= _MOST_PORT:
        message = "no address"
        raise ValueError(message)
    return Address(host.decode(), number)


def read_authority(authority: str, default_port: int) -> tuple[str | None, tuple[Address, ...]]:
    """Read `user@host:port,host:port`; without a host it is this one.

    Raises:
        ValueError: It is malformed; the message says what is wanted.
    """
    before, at, hosts = authority.rpartition("@")
    if at and not _is_user(before):
        message = "a user of printable ASCII, without a password, before the @"
        raise ValueError(message)
    found = tuple(_read_address(written, default_port) for written in (hosts or "localhost").split(","))
    if len(found) > MOST_ADDRESSES or len(set(found)) < len(found):
        message = f"up to {MOST_ADDRESSES} hosts, each once"
        raise ValueError(message)
    return before or None, found


def with_port(hosts: str, port: int | None) -> str:
    """Write hosts as the authority of a URI names them: bare IPv6 in brackets, and a port where none is named.

    Args:
        hosts: Separated by commas, perhaps after a user.
        port: The one of hosts that name none; None for the usual one.
    """
    before, at, places = hosts.rpartition("@")
    written = map(bracketed, places.split(","))
    return f"{before}{at}" + ",".join(
        place if port is None or not _lacks_port(place) else f"{place}:{port}" for place in written
    )


def bracketed(place: str) -> str:
    """Put an IPv6 address that stands alone into brackets; leave anything else as it is."""
    try:
        return f"[{IPv6Address(place)}]" if ":" in place else place
    except ValueError:
        return place


def _lacks_port(place: str) -> bool:
    return place.endswith("]") or ":" not in place


def write_authority(user: str | None, addresses: tuple[Address, ...], default_port: int) -> str:
    """Write what `read_authority` reads, without ports that are the default."""
    hosts = ",".join(str(address).removesuffix(f":{default_port}") for address in addresses if not address.is_socket)
    return f"{user}@{hosts}" if user else hosts


def _read_address(written: str, default_port: int) -> Address:
    found = _split.fullmatch(written)
    port = int(found["port"] or default_port) if found else 0
    if not found or not 0 < port <= _MOST_PORT:
        message = "hosts as name, name:port or [IPv6]:port, separated by commas"
        raise ValueError(message)
    return Address((found["name"] or found["six"]).lower(), port)
