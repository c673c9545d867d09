"""How is a thread woken that waits for keys of a channel? By a key of its own, on which an object is put."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from psk.connectors import SupportsExpiry
from psk.errors import DeadlineError, PskError

if TYPE_CHECKING:
    from collections.abc import Collection

    from psk import Store

LONGEST_LIFE: Final = 60.0
"""Seconds after which the channel removes what a process left on the key that died while it rang."""

CALL_SECONDS: Final = 5.0
"""How long one call for the bell's sake may take."""


class Bell:
    """A reserved key: `ring` puts an object on it while it hangs, and whoever waits for the key wakes."""

    def __init__(self) -> None:
        # Re-entrant: a finaliser or a signal handler may come in between.
        self._lock = threading.RLock()
        self._key: str | None = None
        self._store: Store | None = None
        self._hangs = False
        self._rung = False

    def hang(self, store: Store) -> str:
        """Give the key to wait for; from now on it can be rung."""
        with self._lock:
            key = self._key
        if key is None:
            key = store.reserve(timeout=CALL_SECONDS)
        with self._lock:
            self._key, self._store, self._hangs = key, store, True
        return key

    def ring(self) -> None:
        """Wake whoever waits; nothing happens if it does not hang, or was rung already."""
        with self._lock:
            if not self._hangs or self._rung or self._key is None or self._store is None:
                return
            self._rung = True
            key, store = self._key, self._store
        try:
            ttl = LONGEST_LIFE if store.supports(SupportsExpiry) else None
            store.fulfil(key, b"", ttl=ttl, timeout=CALL_SECONDS, serializer="bytes")
        except PskError:
            # Then the thread sees what is new at its next look.
            with self._lock:
                if self._key == key:
                    self._rung = False

    def silence(self, present: Collection[str]) -> bool:
        """Stop hanging; tell whether it was rung. Its object is removed if it is among the keys that have one."""
        with self._lock:
            self._hangs = False
            key, store = self._key, self._store
            if key not in present:
                return self._rung
            self._key, self._rung = None, False
        if key is not None and store is not None:
            with suppress(PskError):
                store.evict(key, timeout=CALL_SECONDS)
        return True

    def remove(self) -> None:
        """Remove the object of somebody who has rung too late."""
        with self._lock:
            key, store, rung = self._key, self._store, self._rung
            self._key, self._store, self._rung, self._hangs = None, None, False, False
        if rung and key is not None and store is not None:
            with suppress(PskError):
                with suppress(DeadlineError):
                    store.wait(key, timeout=1.0)
                store.evict(key, timeout=CALL_SECONDS)
