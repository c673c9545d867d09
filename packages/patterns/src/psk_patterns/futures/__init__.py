"""How does one process wait for what another one has yet to make? By a future that is kept in a store."""

from __future__ import annotations

from psk_patterns.futures.making import future, restore_future
from psk_patterns.futures.promise import Future
from psk_patterns.futures.several import as_completed, wait

__all__ = ["Future", "as_completed", "future", "restore_future", "wait"]
