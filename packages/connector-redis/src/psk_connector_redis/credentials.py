"""Find the password of a channel in this process, and decide to which hosts it may be sent; neither is in a URI."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final, Protocol

from psk.connectors import shown
from psk.connectors.toolkit import read_secret
from psk.errors import ChannelUnavailableError, ConnectorConfigError
from psk_connector_redis.settings import bracketed

if TYPE_CHECKING:
    from psk.connectors.toolkit import Address
    from psk_connector_redis.settings import Settings

VARIABLE: Final = "PSK_REDIS_PASSWORD"
SENTINEL_VARIABLE: Final = "PSK_REDIS_SENTINEL_PASSWORD"
HOSTS_VARIABLE: Final = "PSK_REDIS_HOSTS"


class CredentialProvider(Protocol):
    """Gives a user and a password at each new connection, as `redis.credentials.CredentialProvider` does."""

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return the password, or the user and the password."""
        ...


class Credentials:
    """The source of the password for one channel, asked at each new connection, since it may change.

    Args:
        settings: Names one of several passwords.
        user: The ACL user; None for the default one.
        password: The password itself; None to look in the environment.
        provider: Asked instead of all these.
        variable: The environment variable to look in, followed by the label of the settings; the one with
            `_FILE` in it names a file.

    Raises:
        ConnectorConfigError: Both a password and a provider were given, or one of the wrong type.
    """

    __slots__ = ("_password", "_provider", "_user", "_variable", "_variable_of_file", "_variable_of_hosts")

    def __init__(
        self,
        settings: Settings,
        *,
        user: str | None,
        password: str | None = None,
        provider: CredentialProvider | None = None,
        variable: str = VARIABLE,
    ) -> None:
        if password is not None and provider is not None:
            raise ConnectorConfigError("both password= and credential_provider= were given", remedy="give one of them")
        if password is not None and not isinstance(password, str):
            raise ConnectorConfigError("password= is not a string", remedy="give a str")
        if provider is not None and not callable(getattr(provider, "get_credentials", None)):
            raise ConnectorConfigError(
                "credential_provider= has no method get_credentials",
                remedy="give a redis.credentials.CredentialProvider, or an object with that method",
            )
        self._password = password
        self._provider = provider
        self._user = user
        label = f"_{settings.credentials.upper()}" if settings.credentials else ""
        self._variable = variable + label
        self._variable_of_file = f"{variable}_FILE{label}"
        self._variable_of_hosts = HOSTS_VARIABLE + label

    def check_host(self, address: Address) -> None:
        """Make sure that the environment allows a connection; nothing has been sent or resolved before.

        The variable names hosts, separated by commas, each with or without a port, with `*` for any characters; or
        the path of a Unix socket, which is compared as it is. Without it every host is allowed.

        Args:
            address: As the URI, a server of its cluster or a sentinel names it.

        Raises:
            ChannelUnavailableError: It does not.
        """
        allowed = os.environ.get(self._variable_of_hosts)
        if allowed is None or any(_matches(address, place.strip()) for place in allowed.split(",")):
            return
        raise ChannelUnavailableError(
            f"{self._variable_of_hosts} does not allow this process to connect to {shown(str(address))}",
            remedy=f"add the host to {self._variable_of_hosts} if it may be trusted with the password",
        )

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return the password, or user and password; an empty password where there is none.

        Raises:
            ChannelUnavailableError: The file or the provider fails.
        """
        if self._provider is not None:
            return self._provided(self._provider)
        password = self._password
        if password is None:
            password = os.environ.get(self._variable)
        if password is None and (path := os.environ.get(self._variable_of_file)):
            password = self._read_file(path)
        if self._user is not None:
            return self._user, password or ""
        return (password or "",)

    def exist(self) -> bool:
        """Tell whether there is anything to authenticate with."""
        return self._provider is not None or self._user is not None or bool(self.get_credentials()[-1])

    def _read_file(self, path: str) -> str:
        content = read_secret(path, what="password file", error=ChannelUnavailableError)
        if content is None:
            raise ChannelUnavailableError(
                f"password file {path!a} does not exist", remedy=f"write it, or correct {self._variable_of_file}"
            )
        return content.decode(errors="surrogateescape").rstrip("\r\n")

    @staticmethod
    def _provided(provider: CredentialProvider) -> tuple[str] | tuple[str, str]:
        try:
            return provider.get_credentials()
        except Exception as error:  # noqa: BLE001  its message may be anything, a secret included
            kind = type(error).__name__
        raise ChannelUnavailableError(f"credential_provider= failed with {kind}", remedy="correct the provider")


def _matches(address: Address, place: str) -> bool:
    if address.is_socket:
        return place == address.host
    # Compared as text, as it is written with brackets: no pattern for a port may match the end of an IPv6 address.
    pattern = ".*".join(map(re.escape, bracketed(place.lower()).split("*")))
    whole = str(address).lower()
    return any(re.fullmatch(pattern, name, re.DOTALL) for name in (whole, whole.rpartition(":")[0]))
