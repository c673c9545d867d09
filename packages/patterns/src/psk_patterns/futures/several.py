"""Wait for several futures at once, on any channels."""

from __future__ import annotations

import time
from collections.abc import Iterable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from psk.connectors import check_timeout
from psk.errors import InvalidArgumentError, PskError
from psk_patterns.errors import FutureError, FutureTimeoutError
from psk_patterns.futures.promise import Future
from psk_patterns.futures.watcher import Subscription, ended_now, unwatch, watch

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator

T = TypeVar("T")

#: The names of `concurrent.futures`.
FIRST_COMPLETED: Final = "FIRST_COMPLETED"
FIRST_EXCEPTION: Final = "FIRST_EXCEPTION"
ALL_COMPLETED: Final = "ALL_COMPLETED"
CHOICES: Final = (FIRST_COMPLETED, FIRST_EXCEPTION, ALL_COMPLETED)

GRACE_SECONDS: Final = 60.0
"""Seconds after the timeout for which the watching thread keeps a subscription that was never removed."""


class DoneAndNotDone(NamedTuple):
    """The futures that have an outcome, and those that do not."""

    done: set[Future[Any]]
    not_done: set[Future[Any]]


def wait(
    futures: Iterable[Future[Any]], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> DoneAndNotDone:
    """Wait for futures on any channels, as `concurrent.futures.wait` does for its own.

    Args:
        futures: The futures.
        timeout: Seconds to wait at most; None is the longest `timeout` of the futures.
        return_when: `"FIRST_COMPLETED"`, `"FIRST_EXCEPTION"` or `"ALL_COMPLETED"`, as in `concurrent.futures`.

    Returns:
        Those that have an outcome, and the others; also when the timeout has passed.

    Raises:
        InvalidArgumentError: `timeout` or `return_when` is not valid, or an item is not a future of a store.
        FutureError: A future was released by this process.
        PskError: A channel is not trusted, or failed.
    """
    if return_when not in CHOICES:
        raise InvalidArgumentError(f"return_when={return_when!r} is not supported", found=CHOICES, remedy="choose one")
    waited = _checked(futures)
    done: set[Future[Any]] = set()
    batches = _batches(waited, timeout)
    try:
        for batch in batches:
            done |= batch
            if return_when == FIRST_COMPLETED or (return_when == FIRST_EXCEPTION and any(map(_failed, batch))):
                break
    except FutureTimeoutError:
        pass
    finally:
        batches.close()
    return DoneAndNotDone(done, waited - done)


def as_completed(futures: Iterable[Future[T]], timeout: float | None = None) -> Iterator[Future[T]]:
    """Iterate over futures on any channels, each as soon as it has an outcome.

    Args:
        futures: The futures.
        timeout: As in `wait`, counted from the first one asked for.

    Raises:
        FutureTimeoutError: Some had no outcome in time.
        PskError: As in `wait`.
    """
    batches = _batches(_checked(futures), timeout)
    try:
        for batch in batches:
            yield from batch
    finally:
        batches.close()


def _checked(futures: Iterable[Future[T]]) -> set[Future[T]]:
    """Return the futures, if they can be waited for."""
    if not issubclass(type(futures), Iterable):
        raise InvalidArgumentError(
            f"an object of type {type(futures).__qualname__} is not an iterable of futures",
            remedy="pass a list of them",
        )
    checked = set()
    for future in futures:
        if not issubclass(type(future), Future):  # isinstance would resolve a proxy
            raise InvalidArgumentError(
                f"an object of type {type(future).__qualname__} is not a future of a store",
                remedy="pass what psk_patterns.future returned; for futures of executors use concurrent.futures.wait "
                "and concurrent.futures.as_completed",
            )
        future.state.check_not_released()
        checked.add(future)
    return checked


def _batches(futures: set[Future[Any]], timeout: float | None) -> Generator[set[Future[Any]], None, None]:
    """Yield futures as they end, those together that ended together."""
    check_timeout(timeout)
    if not futures:
        return
    timeout = max(future.timeout for future in futures) if timeout is None else timeout
    deadline = time.monotonic() + timeout
    ends: SimpleQueue[tuple[Future[Any], PskError | None]] = SimpleQueue()

    def subscribe(future: Future[Any]) -> Subscription:
        # The deadline that counts is the one above.
        return Subscription(future.state, lambda error: ends.put((future, error)), timeout + GRACE_SECONDS)

    watched = {subscribe(future): future for future in futures}
    ended = {watched.pop(subscription) for subscription in ended_now(watched)}
    left = futures - ended
    if ended:
        yield ended
    try:
        if watched and timeout > 0:
            watch(watched)
        while left:
            ended = _next_batch(ends, deadline)
            if not ended:
                raise FutureTimeoutError(
                    f"{len(left)} of {len(futures)} futures had no outcome within {timeout:g} s, such as "
                    f"{next(iter(left))!r}",
                    remedy="wait longer; `running()` tells which of them were claimed: a pool whose workers all wait "
                    "for futures needs more workers",
                )
            left -= ended
            yield ended
    finally:
        unwatch(watched)


def _next_batch(ends: SimpleQueue[tuple[Future[Any], PskError | None]], deadline: float) -> set[Future[Any]]:
    """Wait for the next end, and return all that are there then; none when time is up."""
    ended: set[Future[Any]] = set()
    try:
        while True:
            left = 0.0 if ended else max(deadline - time.monotonic(), 0.0)
            future, error = ends.get(timeout=left)
            if error is not None:
                raise error
            ended.add(future)
    except Empty:
        return ended


def _failed(future: Future[Any]) -> bool:
    try:
        return future.exception() is not None
    except FutureError:  # cancelled, which `concurrent.futures` does not count as an exception
        return False
