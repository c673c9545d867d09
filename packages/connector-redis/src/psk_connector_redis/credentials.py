"""Which password does this process use? From its caller, its environment or a private file; never from a URI."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from psk.errors import ChannelUnavailableError, ConnectorConfigError
from psk_connector_redis import hosts

if TYPE_CHECKING:
    from redis.credentials import CredentialProvider

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.settings import Settings

VARIABLE: Final = "PSK_REDIS_PASSWORD"
SENTINEL_VARIABLE: Final = "PSK_REDIS_SENTINEL_PASSWORD"
_LONGEST_FILE: Final = 65536
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO


class Credentials:
    """Where the password for one channel comes from. Asked at each new connection, so that it may change.

    Args:
        settings: Which of several passwords.
        password: The password itself; None to look in the environment.
        provider: Whoever is asked instead of all these.
        user: The ACL user; None for the default one.
        variable: The environment variable to look in, followed by the label of the settings; the one with
            `_FILE` in it names a file.

    Raises:
        ConnectorConfigError: Both a password and a provider were given, or one of the wrong kind.
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
            raise ConnectorConfigError("password= must be a text", remedy="give a str")
        if provider is not None and not callable(getattr(provider, "get_credentials", None)):
            raise ConnectorConfigError(
                "credential_provider= has no method get_credentials",
                remedy="give a redis.credentials.CredentialProvider",
            )
        self._password = password
        self._provider = provider
        self._user = user
        label = f"_{settings.credentials.upper()}" if settings.credentials else ""
        self._variable = variable + label
        self._variable_of_file = f"{variable}_FILE{label}"
        self._variable_of_hosts = hosts.VARIABLE + label

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for credentials that come from the same place; says nothing about them."""
        if self._provider is not None:
            return (self,)  # what it gives, nobody else may be given
        return (self._user, self._variable, hash(self._password))

    def check_host(self, address: Address) -> None:
        """Make sure that they may be used there.

        Raises:
            ChannelUnavailableError: The environment names the hosts where they may, and not this one.
        """
        hosts.check_host(address, self._variable_of_hosts)

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """Return password, or user and password, as redis-py wants them; an empty text where there is no password.

        Raises:
            ChannelUnavailableError: The file or the provider fails.
        """
        if self._provider is not None:
            return self._provided(self._provider)
        password = self._password
        if password is None:
            password = os.environ.get(self._variable)
        if password is None and (path := os.environ.get(self._variable_of_file)):
            password = read_private(path, self._variable_of_file)
        if self._user is not None:
            return self._user, password or ""
        return (password or "",)

    def exist(self) -> bool:
        """Tell whether there is anything to authenticate with."""
        return self._provider is not None or self._user is not None or bool(self.get_credentials()[-1])

    @staticmethod
    def _provided(provider: CredentialProvider) -> tuple[str] | tuple[str, str]:
        try:
            return provider.get_credentials()
        except Exception as error:  # noqa: BLE001  whatever it is, its words may be a secret
            kind = type(error).__name__
        raise ChannelUnavailableError(f"credential_provider= failed with {kind}", remedy="see to the provider")

    def __repr__(self) -> str:
        return "Credentials(...)"


def read_private(path: str, variable: str) -> str:
    """Read a password from a file that nobody else can read.

    Raises:
        ChannelUnavailableError: It cannot be read, or others can read it too.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise ChannelUnavailableError(
            f"cannot read the file of the password, {path!a}: {error.strerror}",
            remedy=f"see to it, or correct {variable}",
        ) from None
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_mode & _OTHERS or status.st_uid not in {0, os.geteuid()}:
            raise ChannelUnavailableError(
                f"the file of the password, {path!a}, is no file that only its owner can read",
                remedy=f"chmod 600 {path!a}",
            )
        return os.read(descriptor, _LONGEST_FILE).decode(errors="surrogateescape").rstrip("\r\n")
    finally:
        os.close(descriptor)
