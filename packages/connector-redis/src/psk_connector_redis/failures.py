"""Which typed error stands for which failure of a server or of the way to it? No message carries what was sent."""

from __future__ import annotations

import socket
import ssl
from typing import Final

from redis import exceptions

from psk.connectors import deadline_error
from psk.errors import ChannelDataError, ChannelFullError, ChannelUnavailableError, ConnectorError, PskError
from psk_connector_redis.refusal import Refusal

PASSING: Final = frozenset({"LOADING", "READONLY", "MASTERDOWN", "CLUSTERDOWN", "TRYAGAIN", "BUSY", "NOREPLICAS"})
"""States of a server that end by themselves: it loads its data, or another one is about to take over."""

MOVING: Final = frozenset({"MOVED", "ASK"})
"""Answers of a cluster that name the server to be asked instead."""

_REMEDIES: Final = {
    "BUSY": "end the script that blocks it (SCRIPT KILL)",
    "CLUSTERDOWN": "see to the nodes of the cluster (CLUSTER INFO)",
    "DENIED": "give the server a password or users, as it asks for when others than its own host may connect",
    "LOADING": "wait until it has loaded its data",
    "MASTERDOWN": "see to the primary of this replica",
    "MISCONF": "see to its disk: it cannot write its data (the server's log says why)",
    "MOVED": "write cluster=true into the URI: this is a node of a cluster",
    "NOREPLICAS": "see to its replicas, or to its option min-replicas-to-write",
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
_LONGEST_ANSWER: Final = 200


def is_passing(refusal: Refusal) -> bool:
    """Tell whether a refusal ends by itself."""
    return refusal.code in PASSING or _CROWDED in str(refusal)


def refusal_of(error: BaseException) -> Refusal | None:
    """Return what the server answered, if that is what failed."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, exceptions.ResponseError | exceptions.AuthenticationError | exceptions.BusyLoadingError):
        return Refusal.of(error)
    if isinstance(error, exceptions.ConnectionError) and _CROWDED in str(error):
        return Refusal(f"ERR {_CROWDED} reached")
    return None


def is_broken(error: BaseException) -> bool:
    """Tell whether the way to the server broke, so that another connection may help."""
    if refusal_of(error) is not None or _distrust(error) is not None:
        return False
    return isinstance(error, OSError | exceptions.RedisError)


def failure(
    error: Exception, doing: str, place: str, *, nbytes: int = 0, is_late: bool = False, is_tls: bool = False
) -> PskError:
    """Build the typed error for what went wrong.

    Args:
        error: What the server answered, or how the connection ended.
        doing: What was tried, as a phrase: "putting 0123...".
        place: The server in words, see `Server.describe`.
        nbytes: Size of what should have been stored.
        is_late: Whether the deadline has passed.
        is_tls: Whether the server is spoken to by TLS.
    """
    if isinstance(error, PskError):
        return error
    refusal = refusal_of(error)
    if refusal is not None:
        return _refused(refusal, doing, place, nbytes)
    if is_late:
        return deadline_error(f"{doing} in {place}")
    if (reason := _distrust(error)) is not None:
        return ChannelUnavailableError(f"no TLS with {place} while {doing}: {reason}", remedy=_TLS)
    if not isinstance(error, OSError | exceptions.RedisError):
        # Of a credential provider, say: its message may be anything, secrets included.
        return ChannelUnavailableError(
            f"cannot reach {place} while {doing}: {type(error).__name__}", remedy="see to the credential provider"
        )
    return ChannelUnavailableError(
        f"cannot reach {place} while {doing}: {_reason(error)}", remedy=_advice(error, is_tls=is_tls)
    )


def answer_of(refusal: Refusal) -> str:
    """Give the server's words without what they repeat of a command, which may be anything."""
    return ascii(str(refusal).partition(_ARGUMENTS)[0][:_LONGEST_ANSWER])[1:-1]


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
            f"something else than an object of psk was met while {doing} in {place}",
            remedy="evict that key, or use another prefix= if it belongs to somebody else",
        )
    remedy = _REMEDIES.get(code, "see to the server")
    if _CROWDED in text:
        remedy = "raise the server's maxclients, or give fewer connections="
    return ChannelUnavailableError(f"{place} refused {doing}: {answer_of(refusal)}", remedy=remedy)


def _distrust(error: BaseException) -> str | None:
    """Say why the two ends do not get on with each other by TLS: trying again is of no use then."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return cause.verify_message
        if isinstance(cause, ssl.SSLError) and any(word in (cause.reason or "") for word in _DISTRUST):
            return str(cause.reason).lower().replace("_", " ")
        cause = cause.__context__
    return None


def _reason(error: BaseException) -> str:
    """Say in the system's words why a connection broke; redis-py's own words name hosts and numbers again."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, TimeoutError):
            return "no answer in time"
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.partition(" (_ssl")[0]
        cause = cause.__context__
    return "no answer in time" if isinstance(error, exceptions.TimeoutError) else "the connection broke"


def _advice(error: BaseException, *, is_tls: bool) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "correct the name of the host"
        if isinstance(cause, PermissionError):
            return "give this user access to the socket"
        if isinstance(cause, FileNotFoundError):
            return "correct the path of the socket or of the certificates"
        cause = cause.__context__
    # A server that misses a certificate hangs up, sometimes before it has said why.
    return (
        f"start the server, or correct host and port; {_TLS if is_tls else 'TLS needs a scheme with an s, as rediss'}"
    )
