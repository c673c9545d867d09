"""Which capabilities does a multi connector have? Those of all its channels, decided without opening one."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, Final, TypeVar, cast

from psk.connectors.capabilities import (
    CAPABILITIES,
    SupportsAsync,
    SupportsBatch,
    SupportsExpiry,
    SupportsList,
    SupportsRange,
    SupportsReserve,
    SupportsSwap,
    SupportsTake,
    SupportsWait,
)
from psk.connectors.multi.batches import Batches
from psk.connectors.multi.coroutines import Coroutines
from psk.connectors.multi.listing import Listing
from psk.connectors.multi.singles import Claims, Expiries, Ranges, Reservations, Swaps
from psk.connectors.multi.waiting import Waiting

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.multi.child import Child

T = TypeVar("T")

METHODS: Final[dict[Any, type]] = {
    SupportsReserve: Reservations,
    SupportsWait: Waiting,
    SupportsBatch: Batches,
    SupportsExpiry: Expiries,
    SupportsTake: Claims,
    SupportsSwap: Swaps,
    SupportsRange: Ranges,
    SupportsList: Listing,
    SupportsAsync: Coroutines,
}
"""The methods behind each capability; a class of its own, so that a connector can do without."""


def equip(plain: type[T], children: Sequence[Child]) -> type[T]:
    """Give the class of a multi connector over these channels.

    A channel that is not installed here takes no part in the decision: each use of it says so.

    Args:
        plain: MultiConnector, a subclass, or what this function gave for one.
        children: Its channels.
    """
    known = [found for child in children if (found := child.connector_class) is not None]
    return _equipped(
        vars(plain).get("_plain", plain),
        tuple(power for power in CAPABILITIES if known and all(issubclass(one, power) for one in known)),
        leaves_host=len(known) < len(children) or any(getattr(one, "leaves_host", True) is not False for one in known),
        in_memory=len(known) == len(children) and all(getattr(one, "in_memory", False) for one in known),
    )


@cache
def _equipped(plain: type[T], powers: tuple[Any, ...], **attributes: bool) -> type[T]:
    methods = tuple(METHODS[power] for power in powers)
    own = {"__slots__": (), "__doc__": plain.__doc__, "__module__": plain.__module__, "_plain": plain, **attributes}
    return cast("type[T]", type(plain.__name__, (*methods, plain), own))
