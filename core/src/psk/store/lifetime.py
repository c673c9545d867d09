"""What must a lifetime do so that a store can attach objects to it? Lifetimes themselves live in psk-patterns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from psk.store.store import Store


@runtime_checkable
class Lifetime(Protocol):
    """Something whose end is the end of the objects attached to it.

    A lifetime may have an attribute `ttl`, in seconds: then the channel itself drops the objects that are put for it
    when nobody renews them any more.
    """

    def add_key(self, *keys: str, store: Store) -> None:
        """Attach the objects that stand under these keys in `store`."""

    def add_proxy(self, *proxies: Any) -> None:
        """Attach the objects of these proxies."""

    def close(self) -> None:
        """End: evict everything attached."""

    def done(self) -> bool:
        """Tell whether the end has come."""
