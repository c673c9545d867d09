"""Name servers by their addresses, and decide which of them TLS believes."""

from __future__ import annotations

import errno
import os
import re
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from psk.errors import ChannelUnavailableError

if TYPE_CHECKING:
    import ssl

_MOST_PORT: Final = 65535
_split = re.compile(
    r"(?:(?P<name>[A-Za-z0-9._-]{1,255})|\[(?P<six>[0-9A-Fa-f:.%a-z]{2,64})\])(?::(?P<port>[0-9]{1,5}))?"
)


class Address(NamedTuple):
    """A place where a server listens: a host and its port, or the path of a Unix socket and port 0."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str, default_port: int) -> Self:
        """Read `name`, `name:port` or `[IPv6]:port`, as the authority of a URI has it.

        Raises:
            ValueError: It is malformed.
        """
        found = _split.fullmatch(text)
        if found is None:
            message = "an address is name, name:port or [IPv6]:port"
            raise ValueError(message)
        return cls.checked((found["name"] or found["six"]).lower(), found["port"] or default_port)

    @classmethod
    def checked(cls, host: str, port: object) -> Self:
        """Make an address of a host and a port that a server or a user named.

        Raises:
            ValueError: The host is empty, or the port is not a number from 1 to 65535.
            TypeError: The port cannot be a number.
        """
        number = int(port)  # type: ignore[call-overload]  # a TypeError is the caller's to expect
        if not host or not 0 < number <= _MOST_PORT:
            message = "an address has a host and a port from 1 to 65535"
            raise ValueError(message)
        return cls(host, number)

    @property
    def is_socket(self) -> bool:
        """Whether this is a Unix socket."""
        return self.port == 0

    def __str__(self) -> str:
        if self.is_socket:
            return self.host
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def tls_context(
    place: str,
    *,
    ca: str | None = None,
    cert: str | None = None,
    key: str | None = None,
    verify_host: bool = True,
) -> ssl.SSLContext:
    """Read the certificates for connections with TLS: one context for all connections of a channel.

    Args:
        place: The server in words, for messages.
        ca: Path of the certificates of the authorities that are believed; None for the system's.
        cert: Path of the client's own certificate.
        key: Path of its key, without a password; None if it is in the same file.
        verify_host: Whether the server's certificate must be for the host that was asked for.

    Raises:
        ChannelUnavailableError: They cannot be read, or do not fit each other.
    """
    import ssl

    try:
        for path in filter(None, (ca, cert, key)):
            _check_regular(path)
        context = ssl.create_default_context(cafile=ca)
        context.check_hostname = verify_host
        if cert is not None:
            context.load_cert_chain(cert, key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        given = {"ca": ca, "cert": cert, "key": key}
        raise ChannelUnavailableError(
            f"the certificates for {place} cannot be used: {reason.partition(' (_ssl')[0]}",
            found=[f"{name}={value}" for name, value in given.items() if value],
            remedy="name PEM files that this user can read, the key without a password of its own",
        ) from None
    return context


def _check_regular(path: str) -> None:
    # Of a pipe the library would wait for a writer, without a deadline.
    if os.path.exists(path) and not os.path.isfile(path):  # noqa: PTH110, PTH113  connectors need no pathlib
        raise OSError(errno.EINVAL, f"{path} is not a regular file")


def _no_password() -> str:
    message = "the key has a password"
    raise ValueError(message)
