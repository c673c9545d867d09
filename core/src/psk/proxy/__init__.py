"""Proxies: the class, the functions of proxies, and the types to annotate with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, Union

from psk.proxy.proxy import make_proxy, protocols_of, rebuild_proxy
from psk.proxy.target import (
    ProxyLocker,
    aresolve,
    extract,
    get_factory,
    is_hashed_by_value,
    is_proxy,
    is_resolved,
    known_class,
    resolve,
    resolve_async,
)

if TYPE_CHECKING:
    from psk.proxy.stub import Proxy
else:
    from psk.proxy.proxy import Proxy

T = TypeVar("T")

FactoryType = Callable[[], T]
"""A callable without arguments that returns a target."""

ProxyOr = Union[Proxy[T], T]  # noqa: UP007  # `Proxy[T] | T` cannot be subscripted
"""A target, or a proxy of one."""

__all__ = [
    "FactoryType",
    "Proxy",
    "ProxyLocker",
    "ProxyOr",
    "aresolve",
    "extract",
    "get_factory",
    "is_hashed_by_value",
    "is_proxy",
    "is_resolved",
    "known_class",
    "make_proxy",
    "protocols_of",
    "rebuild_proxy",
    "resolve",
    "resolve_async",
]
