"""How does a coroutine wait for a future without ever blocking its loop?"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, TypeVar

from psk import Proxy, aresolve
from psk.errors import ProxyResolveError
from psk_patterns.futures.interest import Interest
from psk_patterns.futures.waiting import await_outcome
from psk_patterns.futures.watching import forget, watch

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

    from psk.errors import PskError
    from psk_patterns.futures.outcome import Outcome
    from psk_patterns.futures.promise import Future

T = TypeVar("T")

READING_SECONDS: Final = 60.0
"""How long the fetching of an outcome may take that is there."""


async def await_future(future: Future[T]) -> T:
    """Wait for a future; see `Future.result`. The task can be cancelled, which leaves the future alone."""
    import asyncio  # costs 30 ms, and whoever awaits has it already

    loop = asyncio.get_running_loop()
    told: asyncio.Future[PskError | None] = loop.create_future()

    def tell(error: PskError | None) -> None:
        with suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits any more
            loop.call_soon_threadsafe(_settle, told, error)

    interest = Interest(future, tell, future.timeout)
    try:
        await _in_background(lambda: watch([interest]))
        error = await told
    finally:
        forget([interest])
    if error is not None:
        raise error
    outcome: Outcome = await _in_background(lambda: await_outcome(future.vigil, READING_SECONDS))
    value: T = outcome.open(future.slots.name)
    return value


def _settle(told: asyncio.Future[PskError | None], error: PskError | None) -> None:
    if not told.done():  # as it is when the task was cancelled
        told.set_result(error)


async def _in_background(call: Callable[[], Any]) -> Any:
    """Run what may block in psk's own pool of threads, which a proxy's factory is the way into."""
    waited: Proxy[Any] = Proxy(lambda: (call(),))
    try:
        return (await aresolve(waited))[0]
    except ProxyResolveError as error:
        raise error.cause or error from None
