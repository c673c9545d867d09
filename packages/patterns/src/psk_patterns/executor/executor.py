"""Submit tasks to any executor so that their large arguments and results go through a store."""

from __future__ import annotations

import concurrent.futures
import time
import weakref
from collections import deque
from functools import partial
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psk.connectors import SupportsExpiry
from psk.errors import DeadlineError, InvalidArgumentError
from psk_patterns.arguments import check_store
from psk_patterns.deferred_cleanup import later
from psk_patterns.executor.inputs import Inputs, evict_quietly
from psk_patterns.executor.task import PackedResult, Task, WorkerSettings, call_each, unpack
from psk_patterns.executor.task_future import TaskFuture, Tasks, submit_after
from psk_patterns.leases import LeaseHolder
from psk_patterns.policies import check_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self

    from psk import Store
    from psk_patterns.executor.inputs import Call

T = TypeVar("T")

DEFAULT_TTL: Final = 30.0
"""Seconds that arguments and results live on if the process that has them dies."""


class StoreExecutor(concurrent.futures.Executor):
    """Submit tasks to another executor, and pass the arguments and results that a policy selects as proxies.

    The policy is asked about each argument, each item of `map` and each result; if it does not select a list, tuple,
    named tuple, dict, dataclass or attrs class, about its parts, at any depth. The selected objects of one call are put
    into the store in one batch and replaced by proxies: plain ones for arguments, owned ones for results.

    A `psk_patterns.Future` among the arguments becomes its proxy, so that the task waits when it uses it; one that is
    to fulfil one gets it with its function, as in `submit(functools.partial(produce, future), ...)`. The future of a
    task, of this or any other executor, becomes its result: the task is submitted when that is done, borrows the
    objects that the result owns, and fails if it failed. An owned proxy moves into the task, and returns if the task
    never used it. A borrow ends with the task.

    Arguments are evicted when their task is done, with a result, an error or by cancellation. Engines that run a task
    again after its future was done need `retries=True`: then they stay until the future is dropped or released. While
    they are needed this process renews their leases, so that nothing outlives it by more than `ttl`; on channels
    without expiry they stay if it is killed.

    Args:
        executor: Any `concurrent.futures.Executor`, or a client of an engine whose `submit(function, *args, **kwargs)`
            returns something with `result()` and `add_done_callback(callback)`.
        store: Where objects go. Workers open it themselves, from its configuration, once per process.
        should_proxy: The policy, or a number of bytes for `ProxySize`; None is `ProxyNever()`. It is sent to the
            workers.
        ownership: Return results as owned proxies, whose objects go with them; otherwise as plain ones, whose objects
            stay until they are evicted.
        close_store: Close the store at shutdown, when the last task is done. ProxyStore's executor does so by default;
            here a store outlives the executor, since its proxies may still be in use.
        retries: The executor may run a task again after its future was done.
        progress: Called as `progress(done, total)`, with the numbers of tasks that are done and that were submitted,
            just before the future of a task is done; in any thread, so it must be quick.
        ttl: Seconds that arguments and results live on if the process that has them dies, at least 0.3.

    Raises:
        InvalidArgumentError: An argument is of the wrong kind.
    """

    def __init__(
        self,
        executor: Any,
        store: Store,
        should_proxy: Callable[[Any], bool] | int | None = None,
        *,
        ownership: bool = True,
        close_store: bool = False,
        retries: bool = False,
        progress: Callable[[int, int], object] | None = None,
        ttl: float = DEFAULT_TTL,
    ) -> None:
        if not callable(getattr(executor, "submit", None)):
            raise InvalidArgumentError(
                f"{executor!r:.80} is not an executor: it has no method submit",
                remedy="pass a concurrent.futures.Executor, or a client that has submit(function, *args)",
            )
        self.executor = executor
        self.store = check_store(store)
        self.should_proxy = check_policy(should_proxy)
        self.ownership = ownership
        self.close_store = close_store
        self.retries = retries
        expires = store.supports(SupportsExpiry)
        self._holder = LeaseHolder(store, ttl) if expires else None
        self._settings = WorkerSettings(store.config(), self.should_proxy, ttl if expires else None, store)
        self._tasks = Tasks(f"the StoreExecutor of store {store.name!r}", progress)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> TaskFuture[T]:
        """Call a function in a worker.

        Args:
            fn: The function.
            args: Its arguments; those that the policy selects, or their selected parts, travel as proxies.
            kwargs: Its named arguments, treated alike.

        Raises:
            ExecutorClosedError: `shutdown` was called.
            PskError: An argument could not be put, as in `Store.put`.
            Exception: Whatever the wrapped executor raises.
        """
        inputs = Inputs(self.store, self._holder)
        future: TaskFuture[Any] = TaskFuture(inputs, retries=self.retries)
        try:
            self._tasks.open(future)
            call = inputs.prepare((args, kwargs), self.should_proxy)
            inner = (
                submit_after(inputs.awaited, partial(self._complete, fn, inputs, call))
                if inputs.awaited
                else self._begin(fn, inputs, call)
            )
            future.follow(inner, self._receive, self._tasks)
        except BaseException:
            try:
                inputs.settle()
                inputs.release()
            finally:
                self._tasks.leave(future, is_done=False)
            raise
        return future

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> MapResults[T]:
        """Call a function with each item, or with one item of each iterable, and iterate over the results in order.

        All items are taken, and all tasks submitted, at once.

        Args:
            fn: The function.
            iterables: Its arguments; the shortest one ends the map. The policy is asked about each item.
            timeout: Seconds from now until the last result; then the iterator raises `psk.errors.DeadlineError`.
            chunksize: How many items make one task.

        Raises:
            InvalidArgumentError: `chunksize` is below 1.
            PskError: As in `submit`; the tasks that were submitted are cancelled then, and their arguments evicted.
        """
        if type(chunksize) is not int or chunksize < 1:
            raise InvalidArgumentError(f"map chunksize={chunksize!r:.80} is not positive", remedy="pass 1 or more")
        in_chunks = chunksize > 1
        function = partial(call_each, fn, len(iterables)) if in_chunks else fn
        items = chain.from_iterable(zip(*iterables, strict=False))
        futures: deque[TaskFuture[Any]] = deque()
        try:
            while chunk := tuple(islice(items, chunksize * len(iterables))):
                futures.append(self.submit(function, *chunk))
        except BaseException:
            _abandon(futures)
            raise
        return MapResults(futures, timeout, in_chunks=in_chunks)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Accept no more tasks, and shut the wrapped executor down; a client of an engine is left to its user.

        Args:
            wait: Return when all tasks are done; otherwise the wrapped executor is shut down after the last of them.
            cancel_futures: Cancel those that have not begun.
        """
        # After the last task: those that wait for others have not been submitted yet.
        self._tasks.close(partial(self._finish, wait))
        if cancel_futures:  # here, since some wrapped executors have no such argument
            self._tasks.cancel()
        if wait:
            self._tasks.wait()
            self._shut_wrapped(wait=True)

    def _finish(self, wait: bool) -> None:
        if self.close_store:
            self.store.close()
        if not wait:  # in another thread: this one may be the executor's own and hold its locks
            later(self._shut_wrapped)

    def _shut_wrapped(self, *, wait: bool = False) -> None:
        if isinstance(self.executor, concurrent.futures.Executor):
            self.executor.shutdown(wait=wait)

    def _complete(self, fn: Callable[..., Any], inputs: Inputs, call: Call) -> Any:
        return self._begin(fn, inputs, inputs.complete(call, self.should_proxy))

    def _begin(self, fn: Callable[..., Any], inputs: Inputs, call: Call) -> Any:
        args, kwargs = call
        return self.executor.submit(Task(fn, self._settings, inputs.keys, inputs.moves), *args, **kwargs)

    def _receive(self, result: Any) -> tuple[Any, Callable[[], object] | None]:
        if type(result) is not PackedResult:
            return result, None
        content = unpack(result, self._settings, ownership=self.ownership)
        return content, None if self.ownership else partial(evict_quietly, self.store, result.keys, "results")

    def __repr__(self) -> str:
        return f"StoreExecutor({self.executor!r}, {self.store!r}, {self.should_proxy!r})"


class MapResults(Generic[T]):
    """The results of `StoreExecutor.map`, in the order of the items; an iterator that can be closed.

    Closing or dropping it, or an error that it raises, cancels the tasks that have not begun, and evicts what was put
    for all that are left.

    Args:
        futures: One for each item, or each chunk of items.
        timeout: Seconds from now within which the last result has to arrive; None is for ever.
        in_chunks: Whether each future has a list of results.
    """

    def __init__(self, futures: deque[TaskFuture[Any]], timeout: float | None, *, in_chunks: bool) -> None:
        self._futures = futures
        self._timeout = timeout
        self._end = None if timeout is None else time.monotonic() + timeout
        self._in_chunks = in_chunks
        self._ready: Iterator[T] = iter(())
        # Not at the interpreter's exit, when the executor itself cleans up after its tasks.
        weakref.finalize(self, later, _abandon, futures).atexit = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> T:
        for result in self._ready:
            return result
        if not self._futures:
            raise StopIteration
        try:
            result = self._next_result()
        except BaseException:
            self.close()
            raise
        if not self._in_chunks:
            return result
        self._ready = iter(result)
        return next(self)

    def close(self) -> None:
        """Give up the other results; closing twice has no effect."""
        self._ready = iter(())
        _abandon(self._futures)

    def _next_result(self) -> Any:
        left = None if self._end is None else max(0.0, self._end - time.monotonic())
        future = self._futures.popleft()
        try:
            return future.result(left)
        except TimeoutError:
            if future.done():  # then it is the task's own error
                raise
            self._futures.appendleft(future)
            raise DeadlineError(
                f"{len(self._futures)} tasks of a map had no result within {self._timeout:g} s",
                remedy="give a longer timeout, or more workers",
            ) from None
        finally:
            del future  # the traceback of an error would keep it


def _abandon(futures: deque[TaskFuture[Any]]) -> None:
    while futures:
        futures.popleft().abandon()
