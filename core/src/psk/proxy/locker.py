"""How does one carry a proxy past code that must not touch it? In a box, until it is unlocked on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from psk.errors import ProxyLockedError

if TYPE_CHECKING:
    from psk.proxy.static import Proxy

T = TypeVar("T")


class ProxyLocker(Generic[T]):
    """A box around a proxy that gives it out only through `unlock`.

    Any use of a proxy resolves it; a box has no operations to use by accident. It can be pickled.

    Args:
        proxy: The proxy to lock away; it is not resolved.
    """

    __module__ = "psk.proxy"  # where pickles name it
    __slots__ = ("_proxy",)

    def __init__(self, proxy: Proxy[T]) -> None:
        object.__setattr__(self, "_proxy", proxy)

    def __getattribute__(self, name: str) -> Any:
        if name == "_proxy":
            raise ProxyLockedError("the proxy in this box is locked", remedy="call unlock() to get it")
        return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"ProxyLocker({object.__getattribute__(self, '_proxy')!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (object.__getattribute__(self, "_proxy"),)

    def unlock(self) -> Proxy[T]:
        """Return the proxy, unresolved if it was when it was locked."""
        return cast("Proxy[T]", object.__getattribute__(self, "_proxy"))
