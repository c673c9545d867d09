"""How are tasks submitted so that their large arguments and results go by way of a store?"""

from __future__ import annotations

import concurrent.futures
from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors import SupportsExpiry
from psk.errors import InvalidArgumentError
from psk_patterns.arguments import check_store
from psk_patterns.deferred_cleanup import later
from psk_patterns.executor.deferring import submit_after
from psk_patterns.executor.evicting import evict_quietly
from psk_patterns.executor.inputs import Inputs
from psk_patterns.executor.ledger import Ledger
from psk_patterns.executor.mapping import MapResults, abandon, in_chunks
from psk_patterns.executor.parcel import Parcel, unpack
from psk_patterns.executor.settings import Settings
from psk_patterns.executor.task import Task, TaskOfMany
from psk_patterns.executor.task_future import TaskFuture
from psk_patterns.leases import LeaseHolder
from psk_patterns.policies import check_policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from psk import Store
    from psk_patterns.executor.inputs import Call

T = TypeVar("T")
DEFAULT_TTL = 30.0


class StoreExecutor(concurrent.futures.Executor):
    """Submit tasks to another executor, with arguments and results that a policy chooses passed as proxies.

    The policy is asked about each argument, each item of `map` and each result; if it does not choose a list, tuple,
    named tuple, dict, dataclass or class of attrs, about what is in it, at any depth. What it chooses is put into
    the store, all of one call in one batch, and a proxy goes in its place: a plain one for an argument, an owned one
    for a result. A `psk_patterns.Future` among the arguments becomes its proxy, so that the task waits when it uses it;
    the task that is to fulfil it gets it with its function, as in `submit(functools.partial(produce, future), ...)`.
    The future of a task, of this or any other executor, becomes its result: the task is submitted when that is there,
    borrows what it owns, and fails as it fails. An owned proxy moves into the task, and returns if that never used it.
    A borrow ends with the task.

    Arguments are evicted when their task is done, with a result, an error or by cancellation. Engines that run a task
    again after its future was done need `retries=True`: then they stay until the future is dropped or released. While
    they are needed this process renews their leases, so nothing outlives it by more than `ttl`; on channels without
    expiry they stay if it is killed.

    Args:
        executor: Any `concurrent.futures.Executor`, or a client of an engine whose `submit(function, *args, **kwargs)`
            returns something with `result()` and `add_done_callback(callback)`.
        store: Where objects go. Workers open it themselves, from its configuration, once per process.
        should_proxy: The policy, or a number of bytes for `ProxySize`; None is `ProxyNever()`. A policy that chooses
            among results must be one that the executor can send to its workers.
        ownership: Give results as owned proxies, whose objects go with them; otherwise as plain ones, whose objects
            stay until they are evicted.
        close_store: Close the store at shutdown, when the last task is done. ProxyStore's executor does so unless told
            otherwise; here a store outlives the executor, for its proxies may still be in use.
        retries: The executor may run a task again after its future was done.
        progress: Called as `progress(done, total)` with the number of tasks that are done and that were submitted so
            far, whenever one is done, just before its future says so; in whatever thread, so it must be quick.
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
                f"{executor!r:.80} is no executor: it has no method submit",
                remedy="pass a concurrent.futures.Executor, or a client that has submit(function, *args)",
            )
        self.executor = executor
        self.store = check_store(store)
        self.should_proxy = check_policy(should_proxy)
        self.ownership = ownership
        self.close_store = close_store
        self.retries = retries
        expires = store.supports(SupportsExpiry)
        self._hold = LeaseHolder(store, ttl) if expires else None
        self._settings = Settings(store.config(), self.should_proxy, ttl if expires else None, store)
        self._ledger = Ledger(f"the StoreExecutor of store {store.name!r}", progress)

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> TaskFuture[T]:
        """Have a function called in a worker.

        Args:
            fn: The function.
            args: Its arguments; those that the policy chooses, or what it chooses in them, travel as proxies.
            kwargs: The same by name.

        Raises:
            ExecutorClosedError: `shutdown` was called.
            PskError: An argument could not be put, as of `Store.put`.
            Exception: Whatever the wrapped executor raises.
        """
        return self._submit(Task, fn, [(args, kwargs)])

    def map(
        self, fn: Callable[..., T], *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1
    ) -> MapResults[T]:
        """Have a function called with each item, or with one item of each iterable, and give the results in order.

        All items are taken, and all tasks submitted, at once.

        Args:
            fn: The function.
            iterables: Where its arguments come from; the shortest one ends it. The policy is asked about each item.
            timeout: Seconds from now until the last result; then the iterator raises `psk.errors.DeadlineError`.
            chunksize: How many items make one task.

        Raises:
            InvalidArgumentError: `chunksize` is below 1.
            PskError: As of `submit`; what was submitted is cancelled then, and what was put for it goes.
        """
        if type(chunksize) is not int or chunksize < 1:
            raise InvalidArgumentError(f"map chunksize={chunksize!r:.80} is not possible", remedy="pass 1 or more")
        kind, each = (Task, 1) if chunksize == 1 else (TaskOfMany, chunksize)
        futures: deque[TaskFuture[Any]] = deque()
        try:
            futures.extend(
                self._submit(kind, fn, [(items, {}) for items in chunk])
                for chunk in in_chunks(zip(*iterables, strict=False), each)
            )
        except BaseException:
            abandon(futures)
            raise
        return MapResults(futures, timeout, in_chunks=kind is TaskOfMany)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more tasks, and shut the wrapped executor down, if it is one: a client of an engine is its user's.

        Args:
            wait: Return when all tasks are done; otherwise the wrapped executor is shut down by the last of them.
            cancel_futures: Cancel those that have not begun.
        """
        # Not before the last task: those that wait for others are yet to be submitted.
        self._ledger.close(partial(self._finish, wait))
        if cancel_futures:  # not by the wrapped executor: some have no such argument
            self._ledger.cancel()
        if wait:
            self._ledger.wait()
            self._shut_wrapped(wait=True)

    def _finish(self, wait: bool) -> None:
        if self.close_store:
            self.store.close()
        if not wait:  # from another thread: this may be one of the executor's own, which has its locks
            later(self._shut_wrapped)

    def _shut_wrapped(self, *, wait: bool = False) -> None:
        if isinstance(self.executor, concurrent.futures.Executor):
            self.executor.shutdown(wait=wait)

    def _submit(self, kind: type[Task], fn: Callable[..., Any], calls: Sequence[Call]) -> TaskFuture[Any]:
        inputs = Inputs(self.store, self._hold)
        try:
            self._ledger.open(inputs)
            prepared = inputs.prepare(calls, self.should_proxy)
            future: TaskFuture[Any] = TaskFuture(inputs, retries=self.retries)
            inner = (
                submit_after(inputs.awaited, partial(self._complete, kind, fn, inputs, prepared))
                if inputs.awaited
                else self._begin(kind, fn, inputs, prepared)
            )
            future.follow(inner, self._receive, self._ledger)
        except BaseException:
            try:
                inputs.settle()
                inputs.release()
            finally:
                self._ledger.withdraw(inputs)
            raise
        return future

    def _complete(self, kind: type[Task], fn: Callable[..., Any], inputs: Inputs, calls: Sequence[Call]) -> Any:
        return self._begin(kind, fn, inputs, inputs.complete(calls, self.should_proxy))

    def _begin(self, kind: type[Task], fn: Callable[..., Any], inputs: Inputs, calls: Sequence[Call]) -> Any:
        task = kind(fn, self._settings, inputs.keys, moves=inputs.moves)
        if kind is Task:
            args, kwargs = calls[0]
            return self.executor.submit(task, *args, **kwargs)
        return self.executor.submit(task, *[args for args, _ in calls])

    def _receive(self, result: Any) -> tuple[Any, Callable[[], object] | None]:
        if type(result) is not Parcel:
            return result, None
        content = unpack(result, self._settings, ownership=self.ownership)
        return content, None if self.ownership else partial(evict_quietly, self.store, result.keys, "results")

    def __repr__(self) -> str:
        return f"StoreExecutor({self.executor!r}, {self.store!r}, {self.should_proxy!r})"
