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

#: Loaded when first named: who only waits for a future pays for no executor.
_HOMES = {
    "ContextLifetime": "lifetimes",
    "Future": "futures",
    "LeaseLifetime": "lifetimes",
    "OwnedProxy": "ownership",
    "ProxyAlways": "policies",
    "ProxyNever": "policies",
    "ProxySize": "policies",
    "ProxyType": "policies",
    "RefMutProxy": "ownership",
    "RefProxy": "ownership",
    "StaticLifetime": "lifetimes",
    "StoreExecutor": "executor",
    "accept": "ownership",
    "as_completed": "futures",
    "borrow": "ownership",
    "clone": "ownership",
    "future": "futures",
    "gather": "partial",
    "into_owned": "ownership",
    "mark_refs_out_of_scope": "ownership",
    "mut_borrow": "ownership",
    "owned_proxy": "ownership",
    "register_lifetime_atexit": "lifetimes",
    "release": "ownership",
    "scatter": "partial",
    "submit": "ownership",
    "update": "ownership",
    "wait": "futures",
    "withdraw": "ownership",
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
    if name in _HOMES:
        return getattr(import_module(f"psk_patterns.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
