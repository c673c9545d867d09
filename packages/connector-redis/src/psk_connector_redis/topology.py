"""Which server holds which name? One server does, or sentinels name it, or a cluster shares them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.link import Link
    from psk_connector_redis.refusal import Refusal


class Topology(Protocol):
    """Knows where names are, and learns when they move. Thread-safe.

    Methods that ask servers raise what the exchange with them raises, see `Link`.
    """

    def address_of(self, name: bytes | None, deadline: float) -> Address:
        """Return the server that holds a Redis name; for None, any."""
        ...

    def primaries(self, deadline: float) -> Sequence[Address]:
        """Return every server that holds objects."""
        ...

    def learn(self, refusal: Refusal | None) -> None:
        """Take note that a server refused to answer for a name, or (None) did not answer at all."""
        ...

    def check(self, link: Link, deadline: float) -> None:
        """Make sure that a new link leads to a server that holds objects; raise a `Refusal` if not."""
        ...


class Standalone:
    """One server, which holds everything.

    Args:
        address: Where it is.
    """

    __slots__ = ("_address",)

    def __init__(self, address: Address) -> None:
        self._address = address

    def address_of(self, name: bytes | None, deadline: float) -> Address:  # noqa: ARG002  it is always the same
        """Return the server."""
        return self._address

    def primaries(self, deadline: float) -> Sequence[Address]:  # noqa: ARG002  known without asking
        """Return the server."""
        return (self._address,)

    def learn(self, refusal: Refusal | None) -> None:
        """Take no note: there is no other."""

    def check(self, link: Link, deadline: float) -> None:
        """Believe it: the server itself says when it may not be written to."""
