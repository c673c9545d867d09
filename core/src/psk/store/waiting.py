"""How does a store wait for an object on a channel that cannot notify?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psk.connectors import SupportsWait
from psk.errors import DeadlineError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors import Connector

DEFAULT_TIMEOUT = 60.0
FIRST_PAUSE = 0.0002
#: While the answer is likely near, and after `PATIENT_AFTER` seconds.
SHORT_PAUSE, LONG_PAUSE = 0.002, 0.05
PATIENT_AFTER = 1.0


def wait_for_any(connector: Connector, keys: Sequence[str], timeout: float | None) -> list[str]:
    """Block until at least one key has an object, by the channel's own notification or else by looking again.

    Looks from 0.2 ms on, doubling up to every 2 ms in the first second and up to every 50 ms later.

    Args:
        connector: Where to look.
        keys: Validated keys.
        timeout: Seconds; None is 60.

    Returns:
        The keys that have an object, at least one.

    Raises:
        DeadlineError: None had one in time.
    """
    timeout = DEFAULT_TIMEOUT if timeout is None else timeout
    if isinstance(connector, SupportsWait):
        return connector.wait(keys, timeout=timeout)
    start = time.monotonic()
    pause = FIRST_PAUSE
    while True:
        present = [key for key in keys if connector.exists(key)]
        if present:
            return present
        waited = time.monotonic() - start
        if waited >= timeout:
            raise DeadlineError(
                f"none of {len(keys)} keys had an object within {timeout:g} s (first: {keys[0] if keys else None})",
                remedy="check that the producer runs and uses the same channel, or wait longer",
            )
        time.sleep(min(pause, timeout - waited))
        pause = min(2 * pause, SHORT_PAUSE if waited < PATIENT_AFTER else LONG_PAUSE)
