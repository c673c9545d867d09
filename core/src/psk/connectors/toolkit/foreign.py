"""Use client libraries that know neither deadlines nor forks: abandon late calls, and start afresh in each process."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psk.connectors.waiting import Wake
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

T = TypeVar("T")

_CLOSING_SECONDS: Final = 1.0
_NOTHING: Final[Any] = object()


def within(deadline: float, call: Callable[[], T], *, discard: Callable[[T], object] | None = None) -> T:
    """Call a function in a daemon thread, and abandon it when the time is up.

    For calls that cannot be bounded otherwise, such as a lookup of a host name or a handshake. What an abandoned call
    may still do is for its author to consider: it must not use the buffers of a caller (give it a copy), and its
    connection must not be used for another call.

    Args:
        deadline: When to abandon the call, by `time.monotonic`.
        call: Called without arguments.
        discard: Called with what an abandoned call returns in the end, as to close it.

    Raises:
        TimeoutError: The call did not end in time.
        BaseException: What the call raised.
    """
    done = Wake()
    decided = threading.Lock()  # taken for good by whichever comes first: the end of the call, or that of its time
    outcome: list[tuple[Any, BaseException | None]] = []

    def run() -> None:
        try:
            outcome.append((call(), None))
        except BaseException as error:  # noqa: BLE001  raised in the caller's thread
            outcome.append((None, error))
        if decided.acquire(blocking=False):
            done.set()
        elif discard is not None and outcome[0][1] is None:
            discard(outcome[0][0])

    try:
        threading.Thread(target=run, name="psk-call", daemon=True).start()
    except RuntimeError:
        run()  # at the interpreter's end no thread can be started
    try:
        done.wait(deadline - time.monotonic())
    finally:  # an interrupt abandons the call too
        is_late = decided.acquire(blocking=False)
    if is_late:
        message = "the call did not end in time"
        raise TimeoutError(message)
    result: T
    result, error = outcome.pop()
    if error is None:
        return result
    try:
        raise error
    finally:
        del error  # which its own frames would keep alive


class PerProcess(Generic[T]):
    """Hold a value that each process makes when it first needs it; a forked child starts without its parent's.

    Args:
        make: Makes the value; called once in each process, also by several threads at once.
        forget: Called in a forked child with the value of its parent, to give up the child's copies of descriptors. It
            must not say goodbye on a connection, which the parent goes on using, nor take a lock.
    """

    __slots__ = ("__weakref__", "_forget", "_lock", "_make", "_value")

    def __init__(self, make: Callable[[], T], *, forget: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._forget = forget
        self._value: T = _NOTHING
        self._lock = threading.RLock()  # a finaliser or a signal handler may come in while it is held
        after_fork_in_child(self, PerProcess._continue_in_child)

    def get(self) -> T:
        """Return the value of this process."""
        value = self._value
        if value is _NOTHING:
            with self._lock:
                value = self._value
                if value is _NOTHING:
                    value = self._value = self._make()
        return value

    def clear(self) -> T | None:
        """Take the value away, as to close it, and return it; None if there is none. The next `get` makes another."""
        value, self._value = self._value, _NOTHING
        return None if value is _NOTHING else value

    def _continue_in_child(self) -> None:
        value = self.clear()
        self._lock = threading.RLock()
        if value is not None and self._forget is not None:
            self._forget(value)


class LoopThread:
    """Run coroutines of an asynchronous client library in an event loop of a daemon thread.

    Thread-safe; do not call it from a coroutine of its own. The thread starts with the first call. A forked child
    has a loop and a thread of its own, and must make its own clients in them.

    Args:
        name: Of the thread.
    """

    def __init__(self, name: str = "psk-loop") -> None:
        self._running = PerProcess(partial(_start, name))

    def run(self, coroutine: Coroutine[Any, Any, T], deadline: float) -> T:
        """Run a coroutine to its end; one that is late is cancelled and left to itself.

        Raises:
            TimeoutError: It did not end before the deadline (by `time.monotonic`).
            BaseException: What the coroutine raised.
        """
        import asyncio  # expensive, and only for those who use it

        loop, _ = self._running.get()
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        try:
            return future.result(max(0.0, deadline - time.monotonic()))
        finally:
            future.cancel()

    def close(self) -> None:
        """Cancel what still runs, stop the loop and end the thread; the next call starts both again."""
        running = self._running.clear()
        if running is not None:
            loop, thread = running
            with suppress(RuntimeError):  # it has ended by itself
                loop.call_soon_threadsafe(loop.stop)
            if thread is not threading.current_thread():
                thread.join(_CLOSING_SECONDS)


def _start(name: str) -> tuple[asyncio.AbstractEventLoop, threading.Thread]:
    import asyncio

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=_serve, args=(loop,), name=name, daemon=True)
    thread.start()
    return loop, thread


def _serve(loop: asyncio.AbstractEventLoop) -> None:
    import asyncio

    with asyncio.Runner(loop_factory=lambda: loop) as runner:  # which cancels what still runs, and closes the loop
        while True:
            # Its caller gets what a coroutine raised; the loop itself must go on for all others.
            with suppress(KeyboardInterrupt, SystemExit):
                runner.get_loop().run_forever()
                return
