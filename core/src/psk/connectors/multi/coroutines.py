"""How are several channels used from asyncio? By their own coroutines, and opened in the background."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from psk.background import submit
from psk.connectors.capabilities import SupportsAsync
from psk.connectors.multi.routes import able, shared_time
from psk.errors import ChannelFullError, ConnectorError, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.child import Child
    from psk.connectors.multi.routes import Routes
    from psk.wire import Frames, Payload

T = TypeVar("T")


class Coroutines:
    """Serve SupportsAsync."""

    __slots__ = ()
    _routes: Routes

    async def aput(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Do what `put` does."""
        left = shared_time(timeout)
        full: list[ChannelFullError] = []
        for child in self._routes.takers(payload.nbytes, hints):
            connector = await _opened(child)
            channel: SupportsAsync = able(connector, SupportsAsync)
            try:
                return child.named(await channel.aput(payload, ttl=ttl, timeout=left(), hints=hints), connector)
            except ChannelFullError as error:
                full.append(error)
        raise full[0]

    async def aget(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Do what `get` does."""
        return await self._afirst(key, timeout, lambda one, inner, left: one.aget(inner, size=size, timeout=left))

    async def aexists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Do what `exists` does."""

        async def ask(one: SupportsAsync, inner: Key, left: float | None) -> bool | None:
            return await one.aexists(inner, timeout=left) or None

        return await self._afirst(key, timeout, ask) is not None

    async def aevict(self, key: Key, *, timeout: float | None = None) -> None:
        """Do what `evict` does."""
        await self._afirst(key, timeout, lambda one, inner, left: one.aevict(inner, timeout=left))

    async def _afirst(
        self,
        key: Key,
        timeout: float | None,
        ask: Callable[[SupportsAsync, Key, float | None], Awaitable[T | None]],
    ) -> T | None:
        located = self._routes.locate(key)
        left = shared_time(timeout)
        failure: ConnectorError | None = None
        for child, inner in located:
            try:
                answer = await ask(able(await _opened(child), SupportsAsync), inner, left())
            except InvalidKeyError:
                if len(located) == 1:
                    raise
            except ConnectorError as error:
                failure = failure or error
            else:
                if answer is not None:
                    return answer
        if failure is not None:
            raise failure
        return None


async def _opened(child: Child) -> Connector:
    if child.opened is not None:
        return child.opened
    import asyncio  # costs 30 ms, and whoever awaits has it already

    return await asyncio.wrap_future(submit(child.connector))
