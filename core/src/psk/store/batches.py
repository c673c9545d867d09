"""What can be done with many objects of a store at once?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.store.arguments import several
from psk.store.keys import check_key
from psk.store.objects import ttl_of
from psk.store.powers import PowerMethods

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from psk.connectors import SupportsBatch
    from psk.store.lifetime import Lifetime
    from psk.wire import Payload


class BatchMethods(PowerMethods):
    """The part of a store that saves round trips where the channel can; elsewhere it loops. See `Store`."""

    def put_batch(
        self,
        objs: Iterable[Any],
        *,
        lifetime: Lifetime | None = None,
        serializer: str | Callable[[Any], Any] | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> builtins.list[str]:
        """Store several objects and give their keys, in order; arguments and errors as of `put`."""
        self._check_open()
        ttl = ttl_of(lifetime, ttl)
        payloads = [self._encoder.encode(obj, serializer, expires=ttl is not None) for obj in several("objs", objs)]
        return self._place_batch(payloads, lifetime, ttl=ttl, timeout=timeout, hints=hints)

    def get_batch(
        self,
        keys: Iterable[str],
        *,
        deserializer: str | Callable[[bytes], Any] | None = None,
        default: Any = None,
        timeout: float | None = None,
    ) -> builtins.list[Any]:
        """Fetch several objects, in order; `default` stands for each missing one. Errors as of `get`."""
        self._check_open()
        wanted = [check_key(key) for key in several("keys", keys)]
        connector = self._batching()
        if connector is not None and deserializer is None:
            return self._reader.read_batch(connector, wanted, default=default, timeout=timeout)
        return [self.get(key, deserializer=deserializer, default=default, timeout=timeout) for key in wanted]

    def evict_batch(self, keys: Iterable[str], *, timeout: float | None = None) -> None:
        """Delete several objects; missing ones are no error. Errors as of `evict`."""
        self._check_open()
        wanted = [check_key(key) for key in several("keys", keys)]
        connector = self._batching()
        if connector is None:
            for key in wanted:
                self.evict(key, timeout=timeout)
            return
        for key in wanted:
            self._reader.cache.drop(key)
        connector.evict_batch(wanted, timeout=timeout)

    def _place_batch(
        self, payloads: Sequence[Payload], lifetime: Lifetime | None, **options: Any
    ) -> builtins.list[str]:
        connector = self._batching()
        if connector is None:
            return [self._place(payload, lifetime, **options) for payload in payloads]
        return self._place_together(payloads, connector, lifetime, **options)

    def _place_together(
        self, payloads: Sequence[Payload], connector: SupportsBatch, lifetime: Lifetime | None, **options: Any
    ) -> builtins.list[str]:
        keys = connector.put_batch(payloads, **options)
        self._attach(lifetime, *keys)
        return keys

    def _batching(self) -> SupportsBatch | None:
        from psk.connectors import SupportsBatch

        return self._connector if isinstance(self._connector, SupportsBatch) else None
