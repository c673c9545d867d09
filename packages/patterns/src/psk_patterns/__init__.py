"""Patterns over any channel of psk: lifetimes, ownership, futures, executors, partial resolution."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from psk_patterns.executor import StoreExecutor
    from psk_patterns.futures import Future, as_completed, future, wait
    from psk_patterns.lifetimes import ContextLifetime, LeaseLifetime, StaticLifetime, register_lifetime_atexit
    from psk_patterns.ownership import (
        OwnedProxy,
        RefMutProxy,
        RefProxy,
        accept,
        borrow,
        clone,
        into_owned,
        mark_refs_out_of_scope,
        mut_borrow,
        owned_proxy,
        release,
        submit,
        update,
        withdraw,
    )
    from psk_patterns.partial import gather, scatter
    from psk_patterns.policies import ProxyAlways, ProxyNever, ProxySize, ProxyType

__version__ = "0.1.0"

#: Imported when first used: a process that only waits for a future does not import the executor.
_HOMES = {
    "executor": ("StoreExecutor",),
    "futures": ("Future", "as_completed", "future", "wait"),
    "lifetimes": ("ContextLifetime", "LeaseLifetime", "StaticLifetime", "register_lifetime_atexit"),
    "ownership": (
        *("OwnedProxy", "RefMutProxy", "RefProxy", "accept", "borrow", "clone", "into_owned", "mark_refs_out_of_scope"),
        *("mut_borrow", "owned_proxy", "release", "submit", "update", "withdraw"),
    ),
    "partial": ("gather", "scatter"),
    "policies": ("ProxyAlways", "ProxyNever", "ProxySize", "ProxyType"),
}

__all__ = [
    "ContextLifetime",
    "Future",
    "LeaseLifetime",
    "OwnedProxy",
    "ProxyAlways",
    "ProxyNever",
    "ProxySize",
    "ProxyType",
    "RefMutProxy",
    "RefProxy",
    "StaticLifetime",
    "StoreExecutor",
    "accept",
    "as_completed",
    "borrow",
    "clone",
    "future",
    "gather",
    "into_owned",
    "mark_refs_out_of_scope",
    "mut_borrow",
    "owned_proxy",
    "register_lifetime_atexit",
    "release",
    "scatter",
    "submit",
    "update",
    "wait",
    "withdraw",
]


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names:
            return getattr(import_module(f"psk_patterns.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
