"""Translate failures of a server, or of the way to it, into typed errors, and tell which may pass.

No message carries what was sent.
"""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final

from psk.connectors import deadline_error
from psk.connectors.toolkit import Trouble
from psk.errors import ChannelDataError, ChannelFullError, ChannelUnavailableError, ConnectorError, PskError
from psk_connector_redis.protocol import Refusal

if TYPE_CHECKING:
    from psk_connector_redis.settings import Settings

PASSING: Final = frozenset({"READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"})
"""States of a server that end by themselves, as when another one is about to take over."""

MOVING: Final = frozenset({"MOVED", "ASK"})
"""Answers of a cluster that name the server to be asked instead."""

_REMEDIES: Final = {
    "BUSY": "end the script that blocks it (SCRIPT KILL)",
    "CLUSTERDOWN": "check the nodes of the cluster (CLUSTER INFO)",
    "DENIED": "give the server a password or users, which it requires for clients on other hosts",
    "LOADING": "wait until it has loaded its data",
    "MASTERDOWN": "check the primary of this replica",
    "MISCONF": "check its disk: it cannot write its data (the server's log says why)",
    "MOVED": "write cluster=true into the URI: this is a node of a cluster",
    "NOREPLICAS": "check its replicas, or its option min-replicas-to-write",
    "NOPERM": "grant this user the commands and names that the connector's guide lists",
    "READONLY": "give the address of the primary, or sentinel= or cluster=",
}
_LOGIN: Final = (
    "set PSK_REDIS_PASSWORD, PSK_REDIS_PASSWORD_FILE or credential_provider= for the user of the URI, "
    "as the connector's guide says; unset them for a server without passwords"
)
_TLS: Final = (
    "give ca= the certificate of its authority, and cert= and key= if it wants to know its clients; "
    "for a server without TLS use a scheme without s, as redis"
)
_DISTRUST: Final = ("CERT", "UNKNOWN_CA", "VERSION", "HANDSHAKE", "KEY_VALUES", "NO_START_LINE", "PEM")
_LOGIN_CODES: Final = frozenset({"NOAUTH", "WRONGPASS"})
_CROWDED: Final = "max number of clients"
_ARGUMENTS: Final = ", with args beginning with"


def classify(error: Exception, settings: Settings) -> Trouble:
    """Tell what a failure means for another attempt."""
    if isinstance(error, Refusal):
        if error.code in MOVING:
            return Trouble.MOVED if settings.cluster else Trouble.FINAL
        if error.code == "LOADING":
            return Trouble.STARTING
        return Trouble.PASSING if error.code in PASSING or _CROWDED in str(error) else Trouble.FINAL
    if not isinstance(error, OSError) or _distrust(error) is not None:
        return Trouble.FINAL
    return Trouble.PASSING if settings.has_several else Trouble.BROKEN


def failure(
    error: Exception, doing: str, place: str, *, nbytes: int = 0, is_late: bool = False, is_tls: bool = False
) -> PskError:
    """Build the typed error for a failure.

    Args:
        error: What the server answered, or how the connection ended.
        doing: What was tried, as a phrase: "putting 0123...".
        place: The server in words, see `Server.describe`.
        nbytes: Size of what should have been stored.
        is_late: Whether the deadline has passed.
        is_tls: Whether the connections use TLS.
    """
    if isinstance(error, PskError):
        return error
    if isinstance(error, Refusal):
        return _refused(error, doing, place, nbytes)
    if is_late:
        return deadline_error(f"{doing} in {place}")
    if (reason := _distrust(error)) is not None:
        return ChannelUnavailableError(f"no TLS with {place} while {doing}: {reason}", remedy=_TLS)
    if isinstance(error, TimeoutError):
        reason = "no answer in time"
    else:
        strerror = getattr(error, "strerror", None)
        reason = strerror.partition(" (_ssl")[0] if strerror else "the connection broke"
    return ChannelUnavailableError(f"cannot reach {place} while {doing}: {reason}", remedy=_advice(error, is_tls))


def _refused(refusal: Refusal, doing: str, place: str, nbytes: int) -> ConnectorError:
    code = refusal.code
    text = str(refusal)
    if code == "OOM" or "maxmemory" in text:
        return ChannelFullError(
            f"no room while {doing}: {place} is at its limit of memory",
            found=[f"object of {nbytes} bytes"] if nbytes else (),
            remedy="evict objects, clear the store, or raise the server's maxmemory",
        )
    if code in _LOGIN_CODES or "AUTH" in text or "invalid password" in text:
        # Never its own words: a server without AUTH repeats what it was sent.
        kind = code if code in _LOGIN_CODES else "ERR"
        return ChannelUnavailableError(f"{place} does not let this user in ({kind}) while {doing}", remedy=_LOGIN)
    if code == "WRONGTYPE":
        return ChannelDataError(
            f"something other than an object of psk was found while {doing} in {place}",
            remedy="evict that key, or use another prefix= if it belongs to another program",
        )
    remedy = _REMEDIES.get(code, "check the server")
    if _CROWDED in text:
        remedy = "raise the server's maxclients, or give fewer connections="
    # Without what the server repeats of a command, which may be anything.
    answer = ascii(text.partition(_ARGUMENTS)[0][:200])[1:-1]
    return ChannelUnavailableError(f"{place} refused {doing}: {answer}", remedy=remedy)


def _distrust(error: BaseException) -> str | None:
    """Say why client and server cannot agree on TLS: another attempt fails in the same way."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    if isinstance(error, ssl.SSLError) and any(word in (error.reason or "") for word in _DISTRUST):
        return str(error.reason).lower().replace("_", " ")
    return None


def _advice(error: BaseException, is_tls: bool) -> str:
    if isinstance(error, socket.gaierror):
        return "correct the name of the host"
    if isinstance(error, PermissionError):
        return "give this user access to the socket"
    if isinstance(error, FileNotFoundError):
        return "correct the path of the socket"
    # A server that misses a certificate hangs up, sometimes before it has said why.
    return (
        f"start the server, or correct host and port; {_TLS if is_tls else 'TLS needs a scheme with an s, as rediss'}"
    )
