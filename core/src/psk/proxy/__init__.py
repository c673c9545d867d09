"""Which names make up psk.proxy? The proxy, what can be done to one, and the types to annotate with."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar, Union

from psk.proxy.functions import (
    aresolve,
    extract,
    get_factory,
    is_resolved,
    resolve,
    resolve_async,
)
from psk.proxy.locker import ProxyLocker
from psk.proxy.making import make_proxy, protocols_of
from psk.proxy.proxy import rebuild_proxy

if TYPE_CHECKING:
    from psk.proxy.static import Proxy
else:
    from psk.proxy.proxy import Proxy

T = TypeVar("T")

FactoryType = Callable[[], T]
"""A callable without arguments that returns a target."""

ProxyOr = Union[Proxy[T], T]  # noqa: UP007  # `Proxy[T] | T` is no value that can be subscripted
"""A target, or a proxy of one."""

__all__ = [
    "FactoryType",
    "Proxy",
    "ProxyLocker",
    "ProxyOr",
    "aresolve",
    "extract",
    "get_factory",
    "is_resolved",
    "make_proxy",
    "protocols_of",
    "rebuild_proxy",
    "resolve",
    "resolve_async",
]
