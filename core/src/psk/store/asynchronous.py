"""How is a store used from asyncio without ever blocking the loop?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psk.background import submit
from psk.store.keys import check_key
from psk.store.objects import ttl_of
from psk.store.proxies import ProxyMethods

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors import SupportsAsync
    from psk.proxy import Proxy
    from psk.store.lifetime import Lifetime
    from psk.wire import Frames, Payload

T = TypeVar("T")
R = TypeVar("R")


class AsyncMethods(ProxyMethods):
    """The part of a store for asyncio; see `Store`.

    Where the channel has asynchronous calls of its own they are used, and encoding and decoding run in the loop;
    elsewhere each call runs whole in a bounded pool of daemon threads.
    """

    async def aput(
        self,
        obj: Any,
        *,
        lifetime: Lifetime | None = None,
        serializer: str | Callable[[Any], Any] | None = None,
        **options: Any,
    ) -> str:
        """Store an object and give its key; arguments and errors as of `put`."""
        from psk.connectors import SupportsAsync

        self._check_open()
        if not isinstance(self._connector, SupportsAsync):
            return await _in_background(self.put, obj, lifetime=lifetime, serializer=serializer, **options)
        return await self._put_async(self._connector, obj, lifetime, serializer, **options)

    async def aget(self, key: str, *, default: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """Fetch an object; arguments and errors as of `get`."""
        from psk.connectors import SupportsAsync

        self._check_open()
        key = check_key(key)
        if options or key in self._reader.cache or not isinstance(self._connector, SupportsAsync):
            return await _in_background(self.get, key, default=default, timeout=timeout, **options)
        return await self._get_async(self._connector, key, default, timeout)

    async def aproxy(self, obj: T, **options: Any) -> Proxy[T]:
        """Store an object and give its proxy; options and errors as of `proxy`."""
        return await _in_background(self.proxy, obj, **options)

    async def await_key(self, key: str, *, timeout: float | None = None) -> str:
        """Wait until a key has an object, and give the key; errors as of `wait`."""
        return (await _in_background(self.wait, key, timeout=timeout))[0]

    # Metrics count these where a channel has coroutines, as they count `put` and `get` where it has none.

    async def _put_async(
        self, connector: SupportsAsync, obj: Any, lifetime: Lifetime | None, serializer: Any, **options: Any
    ) -> str:
        options["ttl"] = ttl_of(lifetime, options.get("ttl"))
        payload = self._encoder.encode(obj, serializer, expires=options["ttl"] is not None)
        key = await self._place_async(payload, connector, **options)
        self._attach(lifetime, key)
        return key

    async def _place_async(self, payload: Payload, connector: SupportsAsync, **options: Any) -> str:
        return await connector.aput(payload, **options)

    async def _get_async(self, connector: SupportsAsync, key: str, default: Any, timeout: float | None) -> Any:
        frames = await self._fetch_async(connector, key, timeout)
        return self._reader.accept(key, frames, default)

    async def _fetch_async(self, connector: SupportsAsync, key: str, timeout: float | None) -> Frames | None:
        return await connector.aget(key, timeout=timeout)


async def _in_background(call: Callable[..., R], *args: Any, **options: Any) -> R:
    import asyncio  # costs 30 ms, and whoever awaits has it already

    return await asyncio.wrap_future(submit(lambda: call(*args, **options)))
