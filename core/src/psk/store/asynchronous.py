"""How is a store used from asyncio without ever blocking the loop?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from psk.background import submit
from psk.connectors import validate_key
from psk.store.objects import ttl_of
from psk.store.proxies import ProxyMethods

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.proxy import Proxy
    from psk.store.lifetime import Lifetime

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
        from psk.connectors.capabilities import SupportsAsync

        self._check_open()
        if not isinstance(self._connector, SupportsAsync):
            return await _in_background(self.put, obj, lifetime=lifetime, serializer=serializer, **options)
        options["ttl"] = ttl_of(lifetime, options.get("ttl"))
        payload = self._encoder.encode(obj, serializer, expires=options["ttl"] is not None)
        key = await self._connector.aput(payload, **options)
        self._attach(lifetime, key)
        return key

    async def aget(self, key: str, *, default: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """Fetch an object; arguments and errors as of `get`."""
        from psk.connectors.capabilities import SupportsAsync

        self._check_open()
        if options or key in self._reader.cache or not isinstance(self._connector, SupportsAsync):
            return await _in_background(self.get, key, default=default, timeout=timeout, **options)
        frames = await self._connector.aget(validate_key(key), timeout=timeout)
        return self._reader.accept(key, frames, default)

    async def aproxy(self, obj: T, **options: Any) -> Proxy[T]:
        """Store an object and give its proxy; options and errors as of `proxy`."""
        return await _in_background(self.proxy, obj, **options)

    async def await_key(self, key: str, *, timeout: float | None = None) -> str:
        """Wait until a key has an object, and give the key; errors as of `wait`."""
        return (await _in_background(self.wait, key, timeout=timeout))[0]


async def _in_background(call: Callable[..., R], *args: Any, **options: Any) -> R:
    import asyncio  # costs 30 ms, and whoever awaits has it already

    return await asyncio.wrap_future(submit(lambda: call(*args, **options)))
