"""How does a store wait for an object, whether or not its channel can notify?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psk.background import stepping_aside
from psk.connectors.arguments import deadline_after
from psk.connectors.waiting import poll
from psk.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors import Connector

DEFAULT_TIMEOUT = 60.0

SHORTEST_LOOK = 0.5
"""Seconds that a look may take, however close the deadline."""


def wait_for_any(connector: Connector, keys: Sequence[str], timeout: float | None) -> list[str]:
    """Block until at least one key has an object, by the channel's own notification or else by looking again.

    Args:
        connector: Where to look.
        keys: Validated keys.
        timeout: Seconds; None is 60.

    Returns:
        The keys that have an object, at least one.

    Raises:
        DeadlineError: None had one in time.
    """
    from psk.connectors import SupportsWait

    timeout = DEFAULT_TIMEOUT if timeout is None else timeout
    with stepping_aside():
        if isinstance(connector, SupportsWait):
            return connector.wait(keys, timeout=timeout)
        deadline = deadline_after(timeout, DEFAULT_TIMEOUT)

        def look() -> list[str]:
            left = max(deadline - time.monotonic(), SHORTEST_LOOK)
            return [key for key in keys if connector.exists(key, timeout=left)]

        if present := poll(look, deadline, interval=getattr(connector, "look_interval", None)):
            return present
    raise DeadlineError(
        f"none of {len(keys)} keys had an object within {timeout:g} s (first: {keys[0] if keys else None})",
        remedy="check that the producer runs and uses the same channel, or wait longer",
    )
