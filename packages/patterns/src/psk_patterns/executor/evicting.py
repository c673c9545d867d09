"""How are objects of a task evicted where nobody could be told that it failed?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.unraisable import report_ignored
from psk_patterns.leases import reopened

if TYPE_CHECKING:
    from collections.abc import Collection

    from psk import Store


def evict_quietly(store: Store, keys: Collection[str], what: str) -> None:
    """Evict objects; an error goes to `sys.unraisablehook`, and those with a lease expire.

    Args:
        store: Where they are; it may have been closed.
        keys: The objects.
        what: What they are, for the error's message.
    """
    if not keys:
        return
    try:
        with reopened(store) as opened:
            opened.evict_batch(keys)
    except Exception:  # noqa: BLE001  as said
        report_ignored(store, f"psk could not evict {len(keys)} {what} of a task")
