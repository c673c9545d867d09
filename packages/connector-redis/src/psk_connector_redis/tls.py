"""Whom does a connection with TLS believe, and as whom does it appear? Decided once for all of a channel."""

from __future__ import annotations

import errno
import os
import ssl
import stat
from typing import TYPE_CHECKING, Any

from redis.connection import SSLConnection

from psk.errors import ChannelUnavailableError

if TYPE_CHECKING:
    import socket

    from psk_connector_redis.settings import Settings


def context_of(settings: Settings) -> ssl.SSLContext:
    """Read the certificates that the settings name.

    Raises:
        ChannelUnavailableError: They cannot be read, or do not fit each other.
    """
    try:
        for path in filter(None, (settings.ca, settings.cert, settings.key)):
            _check_file(path)
        context = ssl.create_default_context(cafile=settings.ca)
        context.check_hostname = settings.verify_host
        if settings.cert is not None:
            context.load_cert_chain(settings.cert, settings.key, password=_no_password)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ChannelUnavailableError(
            f"the certificates for {settings.describe()} cannot be used: {reason.partition(' (_ssl')[0]}",
            found=[f"{name}={value}" for name in ("ca", "cert", "key") if (value := getattr(settings, name))],
            remedy="name PEM files that this user can read, the key without a password of its own",
        ) from None
    return context


def _check_file(path: str) -> None:
    # Of a pipe the library would wait for a writer, without a deadline.
    if not stat.S_ISREG(os.stat(path).st_mode):  # noqa: PTH116  the rest of the package needs no pathlib
        raise OSError(errno.EINVAL, f"{path} is no regular file")


class TlsConnection(SSLConnection):
    """A connection of redis-py that shares its context.

    redis-py makes a context for each connection, which takes 25 ms, and then believes the system's authorities
    beside the one that is named. Should a release call its step otherwise, that is what happens; a test would tell.

    Args:
        context: Whom to believe, and who to be.
        options: For `SSLConnection`, which name the same.
    """

    def __init__(self, *, context: ssl.SSLContext, **options: Any) -> None:
        self._context = context
        super().__init__(**options)

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        # One that was reset meanwhile is lost, and not closed, in what follows.
        sock.getpeername()
        return self._context.wrap_socket(sock, server_hostname=self.host)


def _no_password() -> str:
    message = "the key has a password"
    raise ValueError(message)
