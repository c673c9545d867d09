"""What can one do to a proxy itself? Resolve it, now or in the background, and look inside."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, cast

from psk import background
from psk.errors import NotAProxyError
from psk.proxy.layout import UNRESOLVED, is_proxy, read_factory, read_target
from psk.proxy.resolution import target_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.proxy.static import Proxy

T = TypeVar("T")


def extract(proxy: Proxy[T]) -> T:
    """Return the target of a proxy, resolving it if need be.

    It is also the remedy where C code refuses a proxy, as in `json.dumps(data, default=extract)`.

    Raises:
        NotAProxyError: If the argument is no proxy.
        ProxyResolveError: If the factory fails.
    """
    return cast("T", target_of(_checked(proxy)))


def resolve(proxy: Proxy[Any]) -> None:
    """Resolve a proxy; nothing happens if it is resolved already.

    Raises:
        NotAProxyError: If the argument is no proxy.
        ProxyResolveError: If the factory fails.
    """
    target_of(_checked(proxy))


def resolve_async(proxy: Proxy[Any]) -> None:
    """Start resolving a proxy in the background, and return at once.

    A use of the proxy meanwhile waits for that same resolution. If it fails, a use that waits for it gets the
    error, and a later use tries again.

    Raises:
        NotAProxyError: If the argument is no proxy.
    """
    if not is_resolved(proxy):
        background.start(_resolve_quietly, proxy)


async def aresolve(proxy: Proxy[T]) -> T:
    """Return the target of a proxy without blocking the event loop.

    Raises:
        NotAProxyError: If the argument is no proxy.
        ProxyResolveError: If the factory fails.
    """
    if is_resolved(proxy):
        return cast("T", target_of(proxy))
    import asyncio  # costs tens of ms; whoever awaits this has it already

    return cast("T", await asyncio.wrap_future(background.submit(target_of, proxy)))


def is_resolved(proxy: Proxy[Any]) -> bool:
    """Tell whether a proxy has its target already; never resolves it.

    Raises:
        NotAProxyError: If the argument is no proxy.
    """
    return read_target(_checked(proxy)) is not UNRESOLVED


def get_factory(proxy: Proxy[T]) -> Callable[[], T]:
    """Return the factory of a proxy; never resolves it.

    Raises:
        NotAProxyError: If the argument is no proxy.
    """
    return cast("Callable[[], T]", read_factory(_checked(proxy)))


def _resolve_quietly(proxy: Any) -> None:
    try:
        target_of(proxy)
    except Exception:  # noqa: BLE001  # whoever needs the target will meet the error
        return


def _checked(proxy: Any) -> Any:
    if is_proxy(proxy):
        return proxy
    raise NotAProxyError(
        f"expected a proxy, not {type(proxy).__name__!r}",
        remedy="test with isinstance(value, Proxy) where a value may be either",
    )
