"""Futures kept in a store: results that another process has yet to produce."""

from __future__ import annotations

from psk_patterns.futures.outcome import restore_error
from psk_patterns.futures.promise import Future, FutureFactory, future, restore_future
from psk_patterns.futures.several import as_completed, wait

__all__ = ["Future", "FutureFactory", "as_completed", "future", "restore_error", "restore_future", "wait"]
