"""Which node of a cluster holds a name? Its table of hash slots says so, until a node answers that a slot has moved."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from redis.crc import key_slot

from psk.connectors import deadline_error
from psk_connector_redis.addresses import told_address
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager
    from typing import Any

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.link import Link

SLOTS: Final = 16384
_ASK_FOR_SLOTS: Final = pack(b"CLUSTER", b"SLOTS")


class Cluster:
    """The nodes of a cluster. Thread-safe: what is known is replaced as a whole.

    Args:
        seeds: Nodes to ask first; any one of them is enough.
        borrow: Borrows a link to a node.
    """

    __slots__ = ("_borrow", "_moved", "_nodes", "_owners", "_seeds")

    def __init__(
        self, seeds: Sequence[Address], borrow: Callable[[Address, float], AbstractContextManager[Link]]
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
        slot = key_slot(name)
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
        """Remember where a slot has moved; after other trouble, ask for the whole table again."""
        if refusal is None or refusal.code not in {"MOVED", "ASK"}:
            self._moved = {}
            self._owners = []
        elif refusal.code == "MOVED":
            slot, address = moved_to(refusal)
            if address is not None:
                self._moved = {**self._moved, slot: address}
            self._owners = []

    def check(self, link: Link, deadline: float) -> None:
        """Believe it: a node that does not own a slot says so."""

    def _ask(self, deadline: float) -> list[Address | None]:
        """Ask one node after the other for the table, each for a share of the time."""
        trouble: Exception = deadline_error("asking a cluster for its slots")
        addresses = list(dict.fromkeys((*self._nodes, *self._seeds)))
        for place, address in enumerate(addresses):
            now = time.monotonic()
            share = now + max(0.0, deadline - now) / (len(addresses) - place)
            try:
                with self._borrow(address, share) as link:
                    link.send((_ASK_FOR_SLOTS,), share)
                    owners = read_slots(link.reply(share), address)
            except Exception as error:  # noqa: BLE001  the next node may know; the last error is raised
                trouble = error
                continue
            self._nodes = tuple(dict.fromkeys(owner for owner in owners if owner is not None))
            if self._nodes:
                self._owners = owners
                return owners
            trouble = Refusal("CLUSTERDOWN no slot is served")
        raise trouble


def moved_to(refusal: Refusal) -> tuple[int, Address | None]:
    """Read `MOVED 3999 10.0.0.1:6381`, or the same with ASK: the slot, and who has it, None if that is not said."""
    words = str(refusal).encode(errors="replace").split()
    try:
        _, slot, place = words
        host, _, port = place.rpartition(b":")
        return int(slot), told_address(host, port)
    except ValueError:
        return 0, None


def read_slots(answer: Any, asked: Address) -> list[Address | None]:
    """Read the answer to CLUSTER SLOTS: the primary of each slot, None where there is none.

    Args:
        answer: Lists of first slot, last slot, primary, replicas; a node is host, port and more.
        asked: Who answered; it may leave out its own host.

    Raises:
        Refusal: That is what the answer is.
        GarbledError: The answer is none to this question.
    """
    if isinstance(answer, Refusal):
        raise answer
    owners: list[Address | None] = [None] * SLOTS
    try:
        for first, last, primary, *_ in answer:
            host, port = primary[:2]
            owner = told_address(asked.host.encode() if host in {None, b"", b"?"} else host, port)
            for slot in range(first, last + 1):
                owners[slot] = owner
    except (TypeError, ValueError, AttributeError, IndexError):
        raise GarbledError("a node of the cluster gave a senseless table of slots") from None
    return owners
