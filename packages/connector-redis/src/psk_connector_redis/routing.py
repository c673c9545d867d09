"""Find the server that holds a name, where there are several: the primary of a service, or a node of a cluster.

Both classes are thread-safe: what they know is replaced as a whole. Methods that ask servers raise what an exchange
with them raises, see `Connection`.
"""

from __future__ import annotations

import time
from binascii import crc_hqx
from typing import TYPE_CHECKING, Final

from psk.connectors import deadline_error, shown
from psk.connectors.toolkit import Address
from psk.errors import ChannelUnavailableError
from psk_connector_redis.protocol import GarbledError, Refusal, pack

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from psk_connector_redis.connection import Connection

SLOTS: Final = 16384
_ASK_FOR_SLOTS: Final = pack(b"CLUSTER", b"SLOTS")
_ASK_FOR_ROLE: Final = pack(b"ROLE")


class Sentinels:
    """The sentinels that watch one service, and name another primary when it fails.

    Args:
        sentinels: Where they listen; any one of them is enough.
        service: Their name of the service.
        dial: Makes a connection to a sentinel.
    """

    __slots__ = ("_dial", "_primary", "_sentinels", "_service")

    def __init__(
        self, sentinels: Sequence[Address], service: str, dial: Callable[[Address, float], Connection]
    ) -> None:
        self._sentinels = tuple(sentinels)
        self._service = service
        self._dial = dial
        self._primary: Address | None = None

    def address_of(self, name: bytes | None, deadline: float) -> Address:  # noqa: ARG002  it holds every name
        """Return the primary of the service."""
        return self._primary or self._ask(deadline)

    def primaries(self, deadline: float) -> Sequence[Address]:
        """Return the primary of the service."""
        return (self._primary or self._ask(deadline),)

    def learn(self, refusal: Refusal | None) -> None:  # noqa: ARG002  whatever it was
        """Ask the sentinels again next time."""
        self._primary = None

    def check(self, connection: Connection, deadline: float) -> None:
        """Make sure that the server considers itself the primary: sentinels may learn late that it is not any more."""
        connection.send((_ASK_FOR_ROLE,), deadline)
        answer = connection.reply(deadline)
        # One that does not let this user ask refuses the first write instead.
        if isinstance(answer, list) and answer[:1] != [b"master"]:
            raise Refusal("READONLY the server that the sentinels named is a replica")

    def _ask(self, deadline: float) -> Address:
        trouble: Exception = deadline_error(f"asking sentinels for {shown(self._service)}")
        for address, share in _shares(self._sentinels, deadline):
            try:
                answer = self._answer(address, share)
                if answer is None:
                    trouble = ChannelUnavailableError(
                        f"the sentinel at {address} does not know a service {shown(self._service)}",
                        remedy="correct sentinel=, or let the sentinels monitor it",
                    )
                    continue
                self._primary = primary = read_primary(answer)
            except Exception as error:  # noqa: BLE001  the next one may know; the last error is raised
                trouble = error
                continue
            return primary
        raise trouble

    def _answer(self, address: Address, deadline: float) -> Any:
        connection = self._dial(address, deadline)
        try:
            connection.send((pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service.encode()),), deadline)
            return connection.reply(deadline)
        finally:
            connection.close()


class Cluster:
    """The nodes of a cluster, each of which owns some of the hash slots.

    Args:
        seeds: Nodes to ask first; any one of them is enough.
        borrow: Borrows a connection to a node.
    """

    __slots__ = ("_borrow", "_moved", "_nodes", "_owners", "_seeds")

    def __init__(
        self, seeds: Sequence[Address], borrow: Callable[[Address, float], AbstractContextManager[Connection]]
    ) -> None:
        self._seeds = tuple(seeds)
        self._borrow = borrow
        self._nodes: tuple[Address, ...] = ()
        self._owners: list[Address | None] = []
        self._moved: dict[int, Address] = {}

    def address_of(self, name: bytes | None, deadline: float) -> Address:
        """Return the primary of the name's slot; for None, of some slot."""
        owners = self._owners or self._ask(deadline)
        if name is None:
            return self._nodes[0]
        slot = slot_of(name)
        found = self._moved.get(slot) or owners[slot]
        if found is None:
            self._owners = []
            raise Refusal(f"CLUSTERDOWN Hash slot {slot} not served")
        return found

    def primaries(self, deadline: float) -> Sequence[Address]:
        """Return each node that owns slots, freshly asked for."""
        self._ask(deadline)
        return self._nodes

    def learn(self, refusal: Refusal | None) -> None:
        """Remember where a slot has moved; after any other trouble, ask for the whole table again."""
        if refusal is None or refusal.code not in {"MOVED", "ASK"}:
            self._moved = {}
            self._owners = []
        elif refusal.code == "MOVED":
            slot, address = moved_to(refusal)
            if address is not None:
                self._moved = {**self._moved, slot: address}
            self._owners = []

    def check(self, connection: Connection, deadline: float) -> None:
        """Do nothing: a node that does not own a slot says so."""

    def _ask(self, deadline: float) -> list[Address | None]:
        trouble: Exception = deadline_error("asking a cluster for its slots")
        for address, share in _shares(tuple(dict.fromkeys((*self._nodes, *self._seeds))), deadline):
            try:
                with self._borrow(address, share) as connection:
                    connection.send((_ASK_FOR_SLOTS,), share)
                    owners = read_slots(connection.reply(share), address)
            except Exception as error:  # noqa: BLE001  the next node may know; the last error is raised
                trouble = error
                continue
            self._nodes = tuple(dict.fromkeys(owner for owner in owners if owner is not None))
            if self._nodes:
                self._owners = owners
                return owners
            trouble = Refusal("CLUSTERDOWN no slot is served")
        raise trouble


def slot_of(name: bytes) -> int:
    """Return the hash slot of a name: CRC-16/XMODEM of its first braces' content (Redis cluster specification)."""
    _, brace, rest = name.partition(b"{")
    tag, end, _ = rest.partition(b"}")
    return crc_hqx(tag if brace and end and tag else name, 0) % SLOTS


def moved_to(refusal: Refusal) -> tuple[int, Address | None]:
    """Read `MOVED 3999 10.0.0.1:6381`, or the same with ASK: the slot, and the node, None if it is not named."""
    words = str(refusal).encode(errors="replace").split()
    try:
        _, slot, place = words
        host, _, port = place.rpartition(b":")
        return int(slot), Address.checked(host.decode(), port)
    except ValueError:
        return 0, None


def read_slots(answer: Any, asked: Address) -> list[Address | None]:
    """Read the answer to CLUSTER SLOTS: the primary of each slot, None where there is none.

    Args:
        answer: Lists of first slot, last slot, primary, replicas; a node is host, port and more.
        asked: The node that answered; it may omit its own host.

    Raises:
        Refusal: The answer is a refusal.
        GarbledError: It is not an answer to this command.
    """
    if isinstance(answer, Refusal):
        raise answer
    owners: list[Address | None] = [None] * SLOTS
    try:
        for first, last, primary, *_ in answer:
            host, port = primary[:2]
            owner = Address.checked(asked.host if host in {None, b"", b"?"} else host.decode(), port)
            for slot in range(first, last + 1):
                owners[slot] = owner
    except (TypeError, ValueError, AttributeError, IndexError):
        raise GarbledError("a node of the cluster answered with a malformed table of slots") from None
    return owners


def read_primary(answer: Any) -> Address:
    """Read host and port of a primary.

    Raises:
        Refusal: The answer is a refusal.
        GarbledError: It is not an answer to this command.
    """
    if isinstance(answer, Refusal):
        raise answer
    try:
        host, port = answer
        return Address.checked(host.decode(), port)
    except (TypeError, ValueError, AttributeError):
        raise GarbledError("a sentinel answered with a malformed address") from None


def _shares(addresses: Sequence[Address], deadline: float) -> Iterator[tuple[Address, float]]:
    """Yield each address in turn, with the deadline of its share of the time that is left."""
    for place, address in enumerate(addresses):
        now = time.monotonic()
        yield address, now + max(0.0, deadline - now) / (len(addresses) - place)
