"""Which server is the primary of a service? Its sentinels say so, and name another one when it fails."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.connectors import deadline_error, shown
from psk.errors import ChannelUnavailableError
from psk_connector_redis.addresses import told_address
from psk_connector_redis.refusal import GarbledError, Refusal
from psk_connector_redis.resp import pack

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.link import Link

_ASK_FOR_ROLE: Final = pack(b"ROLE")


class Sentinels:
    """Those who watch over one service.

    Args:
        sentinels: Where they are; any one of them is enough.
        service: The name they know the service by.
        dial: Makes a link to a sentinel.
    """

    __slots__ = ("_dial", "_primary", "_sentinels", "_service")

    def __init__(self, sentinels: Sequence[Address], service: str, dial: Callable[[Address, float], Link]) -> None:
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

    def check(self, link: Link, deadline: float) -> None:
        """Make sure that the server thinks itself the primary: sentinels may learn late that it is none any more."""
        link.send((_ASK_FOR_ROLE,), deadline)
        answer = link.reply(deadline)
        # One that does not let this user ask refuses the first write instead.
        if isinstance(answer, list) and answer[:1] != [b"master"]:
            raise Refusal("READONLY the server that the sentinels named is a replica")

    def _ask(self, deadline: float) -> Address:
        """Ask one sentinel after the other, each for a share of the time."""
        trouble: Exception = deadline_error(f"asking sentinels for {shown(self._service)}")
        for place, address in enumerate(self._sentinels):
            now = time.monotonic()
            share = now + max(0.0, deadline - now) / (len(self._sentinels) - place)
            try:
                answer = self._answer(address, share)
                if answer is None:
                    trouble = ChannelUnavailableError(
                        f"the sentinel at {address} knows no service {shown(self._service)}",
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
        link = self._dial(address, deadline)
        try:
            link.send((pack(b"SENTINEL", b"GET-MASTER-ADDR-BY-NAME", self._service.encode()),), deadline)
            return link.reply(deadline)
        finally:
            link.close()


def read_primary(answer: Any) -> Address:
    """Read host and port.

    Raises:
        Refusal: That is what the answer is.
        GarbledError: The answer is none to this question.
    """
    if isinstance(answer, Refusal):
        raise answer
    try:
        host, port = answer
        return told_address(host, port)
    except (TypeError, ValueError, AttributeError):
        raise GarbledError("a sentinel gave a senseless address") from None
