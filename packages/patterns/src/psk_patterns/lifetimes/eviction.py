"""How is everything evicted although some of it cannot be, and how long may that take?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk import Store
from psk.connectors import SupportsBatch
from psk.errors import ConnectorClosedError, DeadlineError, StoreClosedError
from psk_patterns.leases import reopened

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Failures = list[tuple[str, Exception]]

TOTAL_SECONDS: Final = 60.0
"""How long it may take to evict everything, whatever the channels do."""

BATCH_SECONDS: Final = 20.0
CALL_SECONDS: Final = 5.0
"""Seconds for one call, so that one that hangs leaves time for the others."""

_CLOSED = (StoreClosedError, ConnectorClosedError)


def evict_keys(store: Store, keys: Sequence[str], deadline: float) -> Failures:
    """Evict objects of one store, through a private one where it is closed; give those that could not be, and why."""
    try:
        with reopened(store) as channel:
            failures = _evict_together(channel, keys, deadline)
        closed = [key for key, error in failures if isinstance(error, _CLOSED)]
        if closed:  # meanwhile, by another thread, or the connector alone
            with Store.from_config(store.config(), register=False) as channel:
                others = [(key, error) for key, error in failures if key not in closed]
                failures = others + _evict_together(channel, closed, deadline)
    except Exception as error:  # noqa: BLE001  the channel cannot be opened: whatever that raises is why
        return [(key, error) for key in keys]
    return failures


def _evict_together(channel: Store, keys: Sequence[str], deadline: float) -> Failures:
    left = deadline - time.monotonic()
    if len(keys) > 1 and left > 0 and channel.supports(SupportsBatch):
        try:
            channel.evict_batch(keys, timeout=min(left, BATCH_SECONDS))
        except Exception:  # noqa: BLE001, S110  one by one tells which cannot be evicted, and why
            pass
        else:
            return []
    return list(_evict_singly(channel, keys, deadline))


def _evict_singly(channel: Store, keys: Sequence[str], deadline: float) -> Iterable[tuple[str, Exception]]:
    for key in keys:
        left = deadline - time.monotonic()
        if left <= 0:
            yield key, DeadlineError(f"no time was left to evict object {key}", remedy="evict it with Store.evict")
            continue
        try:
            channel.evict(key, timeout=min(left, CALL_SECONDS))
        except Exception as error:  # noqa: BLE001  the others are to go all the same
            yield key, error
