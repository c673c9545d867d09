"""What is attached to a lifetime, and what becomes of it at the end?"""

from __future__ import annotations

import os
import threading
import time
import weakref
from typing import TYPE_CHECKING

from psk_patterns.errors import LifetimeCloseError, LifetimeEndedError
from psk_patterns.finishing import seconds_left
from psk_patterns.lifetimes.eviction import TOTAL_SECONDS, evict_keys

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk import Store

#: For forked children, to whom nothing of this belongs.
_everybody: weakref.WeakSet[Members] = weakref.WeakSet()


class Members:
    """The keys attached to one lifetime, by store; safe to use from many threads.

    Args:
        title: What the lifetime is called in messages.

    Attributes:
        ended: Whether nothing can be attached any more.
        on_new_store: What is called after the first objects of a store were attached.
        lock: Held for short steps in memory only; re-entrant, for finalisers and signal handlers come in between.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self.ended = False
        self.on_new_store: list[Callable[[], object]] = []
        self.forget()
        _everybody.add(self)

    def forget(self) -> None:
        """Have no members and a lock that nobody holds, as in a forked child."""
        self.lock = threading.RLock()
        self._keys: dict[Store, dict[str, None]] = {}

    def add(self, keys: Sequence[str], store: Store) -> None:
        """Attach objects.

        Raises:
            LifetimeEndedError: It is too late; the objects are evicted, as their end has come.
        """
        with self.lock:
            is_late, is_new = self.ended, store not in self._keys
            if not is_late:
                self._keys.setdefault(store, {}).update(dict.fromkeys(keys))
        if not is_late:
            for notice in self.on_new_store if is_new else ():
                notice()
            return
        failures = evict_keys(store, keys, time.monotonic() + TOTAL_SECONDS)
        error = LifetimeEndedError(
            f"object {keys[0] if keys else None} of store {store.name!r} was to be attached to {self.title}, which has "
            "ended" + (f"; it could not be evicted: {failures[0][1]}" if failures else ", and was evicted"),
            remedy="attach it to another lifetime",
        )
        raise error from (failures[0][1] if failures else None)

    def by_store(self) -> dict[Store, list[str]]:
        """Give what is attached now."""
        with self.lock:
            return {store: list(keys) for store, keys in self._keys.items()}

    def end(self) -> None:
        """Let nothing be attached any more."""
        with self.lock:
            self.ended = True

    def evict(self, *stores: Store) -> None:
        """Evict all that is attached, and then close stores; if this is interrupted, the rest is still attached.

        Raises:
            LifetimeCloseError: Some of it could not be evicted; nothing is attached any more all the same.
        """
        deadline = time.monotonic() + seconds_left(TOTAL_SECONDS)
        failures: list[tuple[str, Exception]] = []
        count = 0
        for store, keys in self.by_store().items():
            failures += evict_keys(store, keys, deadline)
            count += len(keys)
            with self.lock:
                self._keys.pop(store, None)
        for store in stores:
            try:
                store.close()
            except Exception as failure:  # noqa: BLE001  the others are to be closed all the same
                failures.append((store.uri, failure))
        if failures:
            key, cause = failures[0]
            error = LifetimeCloseError(
                f"{self.title} ended, and {len(failures)} of its {count} objects could not be evicted, the first "
                f"{key}: {cause}",
                remedy="evict them with Store.evict; `failures` has every key",
            )
            error.failures = tuple(failures)
            raise error from cause


def _disown() -> None:
    for members in _everybody:
        members.forget()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_disown)
