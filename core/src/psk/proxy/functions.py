"""Functions of proxies: resolve one, now or in the background, look inside, lock one away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from psk import background
from psk.errors import NotAProxyError, ProxyLockedError
from psk.proxy.target import UNRESOLVED, is_proxy, read_factory, read_target, target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.proxy.stub import Proxy

T = TypeVar("T")


def extract(proxy: Proxy[T]) -> T:
    """Return the target of a proxy; resolve it first if necessary.

    Use it where C code rejects a proxy, as in `json.dumps(data, default=extract)`.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    return cast("T", target_of(_checked(proxy)))


def resolve(proxy: Proxy[Any]) -> None:
    """Resolve a proxy, unless it is resolved already.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    target_of(_checked(proxy))


def resolve_async(proxy: Proxy[Any]) -> None:
    """Start resolving a proxy in the background, and return at once.

    A use of the proxy meanwhile waits for that resolution. If it fails, a use that waits for it raises the error, and
    a later use tries again.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    if not is_resolved(proxy):
        background.start(_resolve_quietly, proxy)


async def aresolve(proxy: Proxy[T]) -> T:
    """Return the target of a proxy without blocking the event loop.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    if is_resolved(proxy):
        return cast("T", target_of(proxy))
    import asyncio  # takes tens of ms to import; a program that awaits this has it already

    return cast("T", await asyncio.wrap_future(background.submit(target_of, proxy)))


def is_resolved(proxy: Proxy[Any]) -> bool:
    """Tell whether a proxy has its target already; never resolves it.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    return read_target(_checked(proxy)) is not UNRESOLVED


def get_factory(proxy: Proxy[T]) -> Callable[[], T]:
    """Return the factory of a proxy; never resolves it.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    return cast("Callable[[], T]", read_factory(_checked(proxy)))


def _resolve_quietly(proxy: Any) -> None:
    try:
        target_of(proxy)
    except Exception:  # noqa: BLE001  # a use of the target raises it again
        return


def _checked(proxy: Any) -> Any:
    if is_proxy(proxy):
        return proxy
    raise NotAProxyError(
        f"expected a proxy, not {type(proxy).__name__!r}",
        remedy="check isinstance(value, Proxy) first if the value may be either",
    )


class ProxyLocker(Generic[T]):
    """A box around a proxy, which only `unlock` returns.

    Any use of a proxy resolves it; a box has no operations that could be used by accident. It can be pickled.

    Args:
        proxy: The proxy; it is not resolved.
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
