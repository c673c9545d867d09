"""Determine the durability that a server can promise, from its persistence, its eviction policy and its replicas."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from psk.connectors import DURABILITIES, deadline_error
from psk.errors import ChannelUnavailableError, DurabilityError
from psk_connector_redis.protocol import Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psk_connector_redis.connection import Connection

_QUESTIONS: Final = (
    (b"PING",),
    (b"CONFIG", b"GET", b"append*"),
    (b"CONFIG", b"GET", b"maxmemory*"),
    (b"INFO", b"persistence"),
    (b"INFO", b"memory"),
    (b"INFO", b"replication"),
)
_PACKET: Final = b"".join(pack(*question) for question in _QUESTIONS)
_CONFIRM_SECONDS: Final = 10.0
_GRACE_SECONDS: Final = 0.2


@dataclass(frozen=True, slots=True)
class Facts:
    """Facts that a server reports about itself; None where this user may not know.

    Attributes:
        appendonly: Whether it writes an append-only file.
        appendfsync: When it forces that file to the disk: "always", "everysec" or "no".
        evicts: Whether it may evict objects to make room.
        replicas: How many replicas follow it now.
    """

    appendonly: bool | None
    appendfsync: str | None
    evicts: bool | None
    replicas: int | None

    def missing(self, level: str) -> tuple[str, str] | None:
        """Say what keeps the server from promising a level, and the remedy; None if nothing does."""
        asked = DURABILITIES.index(level)
        for lowest, is_met, reason, remedy in self._conditions():
            if asked >= DURABILITIES.index(lowest) and not is_met:
                return reason, remedy
        return None

    def _conditions(self) -> tuple[tuple[str, object, str, str], ...]:
        """List conditions: the lowest level that needs each, whether it is met, and what to say and do if it is not."""
        ask = "allow this user CONFIG GET and INFO"
        hidden = "does not let this user know"
        sets = "in the server's configuration"
        return (
            ("host", self.appendonly is not None, f"{hidden} whether it keeps an append-only file", ask),
            ("host", self.appendonly, "keeps no append-only file", f"set appendonly yes {sets}"),
            ("host", self.evicts is not None, f"{hidden} its limit of memory and its eviction policy", ask),
            ("host", not self.evicts, "evicts objects to make room", f"set maxmemory-policy noeviction {sets}"),
            ("host", self.appendfsync, f"{hidden} when it syncs its append-only file (appendfsync)", ask),
            (
                # While a sync is under way the server holds back what it has acknowledged, for up to two seconds.
                "host",
                self.appendfsync != "everysec",
                "may hold back acknowledged writes while it syncs (appendfsync everysec)",
                f"set appendfsync always, or for durability=host no, {sets}",
            ),
            (
                "disk",
                self.appendfsync == "always",
                "syncs after it acknowledged",
                f"set appendfsync always {sets}",
            ),
            ("replicated", self.replicas is not None, f"{hidden} whether it has replicas", ask),
            ("replicated", self.replicas, "has no replica", "let a replica follow it"),
        )


def examine(connection: Connection, deadline: float) -> Facts:
    """Ask a server for what decides its durability, in one exchange.

    Raises:
        Refusal: It answers no questions, for now or not this user's. One that is forbidden is not an error.
    """
    connection.send((_PACKET,), deadline)
    pong, *answers = [connection.reply(deadline) for _ in _QUESTIONS]
    if isinstance(pong, Refusal) and pong.code != "NOPERM":
        raise pong
    told: dict[str, str] = {}
    for answer in answers:
        if isinstance(answer, list):
            words = [word.decode(errors="replace") for word in answer if isinstance(word, bytes)]
            told |= dict(zip(words[::2], words[1::2], strict=False))
        elif isinstance(answer, bytes):
            lines = (line.partition(":") for line in answer.decode(errors="replace").splitlines())
            told |= {name: value for name, colon, value in lines if colon}
    return facts_of(told)


def facts_of(told: dict[str, str]) -> Facts:
    """Read the answers to CONFIG GET and INFO, either of which may be missing."""
    appendonly = told.get("appendonly") or {"1": "yes", "0": "no"}.get(told.get("aof_enabled", ""))
    limit = told.get("maxmemory")
    policy = told.get("maxmemory-policy") or told.get("maxmemory_policy")
    evicts = None
    if limit is not None and policy is not None:
        evicts = limit != "0" and policy != "noeviction"
    replicas = told.get("connected_slaves", "")
    return Facts(
        appendonly=None if appendonly is None else appendonly == "yes",
        appendfsync=told.get("appendfsync"),
        evicts=evicts,
        replicas=int(replicas) if replicas.isdigit() else None,
    )


def check(asked: str, facts: Iterable[Facts], place: str) -> tuple[str, ...]:
    """Make sure that every server can promise a durability; return all levels that they can promise.

    Raises:
        DurabilityError: One cannot, or this user may not know.
    """
    known = tuple(facts)
    possible = tuple(level for level in DURABILITIES if not any(one.missing(level) for one in known))
    for one in known:
        if (found := one.missing(asked)) is not None:
            reason, remedy = found
            raise DurabilityError(
                f"the durability {asked!r} cannot be promised: {place} {reason}", found=possible, remedy=remedy
            )
    return possible


def confirm(connection: Connection, deadline: float, doing: str) -> None:
    """Wait until a replica has all that the primary had when it answered this connection last.

    Raises:
        DeadlineError: No replica confirmed before the deadline.
        ChannelUnavailableError: No replica confirmed for a long time.
        Refusal: The server does not answer the question.
    """
    end = min(deadline, time.monotonic() + _CONFIRM_SECONDS)
    connection.send((pack(b"WAIT", b"1", b"%d" % max(1, int((end - time.monotonic()) * 1000))),), deadline)
    try:
        answer: Any = connection.reply(end + _GRACE_SECONDS)
    except TimeoutError:
        answer = 0
    if isinstance(answer, Refusal):
        raise answer
    if answer < 1:
        if end == deadline:  # which the server, counting in milliseconds, may have ended a moment before
            raise deadline_error(f"waiting for a replica to confirm {doing}")
        raise ChannelUnavailableError(f"no replica confirmed {doing}", remedy="check the server's replicas")
