"""What have all lifetimes in common? Objects are attached to them, and are evicted at their end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never

from psk import Proxy
from psk.errors import InvalidArgumentError, InvalidKeyError, SerializationError
from psk.store import get_key, get_store
from psk_patterns.arguments import check_store
from psk_patterns.lifetimes.members import Members

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from psk import Store


class EvictingLifetime:
    """Evict what is attached, at the end; the base of the lifetimes there are.

    Safe to use from many threads. A forked child's copy has nothing attached: it ends nothing of its parent's.

    Args:
        store: Where keys are that are attached without a store; None if each comes with its own.
        name: What messages call the lifetime.
    """

    def __init__(self, store: Store | None, name: str | None) -> None:
        self.name = name
        self._store = None if store is None else check_store(store)
        title = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        self._members = Members(title if store is None else f"{title} of store {store.name!r}")

    def add_key(self, *keys: str, store: Store | None = None) -> None:
        """Attach the objects that stand under these keys.

        Args:
            keys: What `put` or `reserve` gave.
            store: Where they are; None is the lifetime's own store.

        Raises:
            LifetimeEndedError: The lifetime has ended; the objects are evicted, as their end has come.
            InvalidArgumentError: No store is given, and the lifetime has none.
            InvalidKeyError: One is not a key, but a proxy; none is attached.
        """
        if any(issubclass(type(key), Proxy) for key in keys):
            raise InvalidKeyError("a proxy is not a key", remedy="attach it with add_proxy, or pass psk.get_key(proxy)")
        store = self._store if store is None else store
        if store is None:
            raise InvalidArgumentError(
                f"{self._members.title} cannot tell where object {keys[0] if keys else None} is",
                remedy="pass store=, as the program has many",
            )
        self._attach(keys, check_store(store))

    def add_proxy(self, *proxies: Proxy[Any]) -> None:
        """Attach the objects of these proxies, unresolved.

        Raises:
            NotAProxyError: One is no proxy; none is attached.
            ProxyStoreFactoryError: One was not made by a store; none is attached.
            LifetimeEndedError: As of `add_key`.
            PskError: The store of one cannot be opened, or is not trusted; none is attached.
        """
        found: dict[Store, list[str]] = {}
        for proxy in proxies:
            key, store = get_key(proxy), get_store(proxy)
            if store is not None:  # never for a proxy
                found.setdefault(store, []).append(key)
        for store, keys in found.items():
            self._attach(keys, store)

    def close(self, *, close_stores: bool = False) -> None:
        """End: evict everything attached, even if some of it cannot be; at most a minute.

        A store that was closed meanwhile is opened again for it. Closing twice is no error, and a second call while the
        first is still evicting may return before it is done.

        Args:
            close_stores: Close the stores of the objects afterwards, and the lifetime's own.

        Raises:
            LifetimeCloseError: Some objects could not be evicted; its `failures` has the key of each, and the reason.
        """
        self._members.end()
        stores = list(self._members.by_store()) if close_stores else []
        if close_stores and self._store is not None and self._store not in stores:
            stores.append(self._store)
        self._members.evict(*stores)

    def done(self) -> bool:
        """Tell whether the end has come."""
        return self._members.ended

    def _attach(self, keys: tuple[str, ...] | list[str], store: Store) -> None:
        self._members.add(keys, store)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            # What went wrong first is what matters.
            error.add_note(f"{type(failure).__name__}: {failure}")

    def __reduce__(self) -> Never:
        raise SerializationError(
            f"{self._members.title} cannot travel: objects end with a lifetime of this process",
            remedy="make a lifetime there, or pass proxies",
        )

    def __repr__(self) -> str:
        return f"<{self._members.title}{', ended' if self.done() else ''}>"
