"""Run clean-up work that finalisers must not do themselves, in a daemon thread and at the interpreter's exit."""

from __future__ import annotations

import _thread
import atexit
import signal
import sys
import threading
import time
import warnings
import weakref
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from psk.errors import report_ignored
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE_SECONDS: Final = 0.2
"""Seconds that the thread waits for more work before it ends."""

EXIT_SECONDS: Final = 0.8
"""Seconds that the interpreter's exit waits for pending work, in total."""

CALLBACK_PRIORITY: Final = -50
"""Children of multiprocessing run exit callbacks after their own children have ended, and before sessions end."""

FLUSH_PRIORITY: Final = -90
"""Children of multiprocessing flush pending work after all other callbacks of ours, and before sessions end."""

POLL_SECONDS: Final = 0.02
"""Seconds between two checks of `flush` whether a thread can be started."""


class _Cleanup:
    """The queue of pending calls, and the thread that makes them; a forked child starts with an empty one.

    Nothing here may block or take an ordinary lock: a finaliser can run in a thread that holds any lock.
    """

    def __init__(self) -> None:
        self.pending: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self.attended = threading.Lock()
        self.is_exiting = False
        self.waited = 0.0
        self._flushes_in_child = False

    def start(self) -> bool:
        """Start a thread unless there is one; False if none can be started."""
        if not self.attended.acquire(blocking=False):
            return True
        try:
            # Thread.start takes locks and waits for the thread, so a second thread calls it.
            _thread.start_new_thread(self._start, ())
        except RuntimeError:  # out of threads, or the interpreter is ending: the next caller tries again
            self.attended.release()
            return False
        return True

    def _start(self) -> None:
        try:
            threading.Thread(target=self._run, name="psk-cleanup", daemon=True).start()
        except RuntimeError:  # this thread was the last one available
            self._run()

    def run_here(self, until: float) -> None:
        """Make pending calls in the calling thread, if no other thread does: used where none can be started."""
        if not self.attended.acquire(blocking=False):
            return
        before, _local.until = _local.until, until
        try:
            with _interrupted_at_exit(until):
                while time.monotonic() < until:
                    _call(*self.pending.get_nowait())
        except (Empty, _OutOfTimeError):
            pass
        finally:
            _local.until = before
            self.attended.release()

    def _run(self) -> None:
        if not self._flushes_in_child:
            self._flushes_in_child = True
            finalize_in_child(_flush_before_exit, FLUSH_PRIORITY)
        while True:
            try:
                function, args = self.pending.get(timeout=IDLE_SECONDS)
            except Empty:
                self.attended.release()
                # A call added before the release saw a running thread and started none.
                if self.pending.empty() or not self.attended.acquire(blocking=False):
                    return
                continue
            _call(function, args)
            del function, args  # they may be large, and the next call may be long in coming


def _call(function: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    except _OutOfTimeError:
        raise
    except BaseException:  # noqa: BLE001  no caller could catch it, and the thread serves others
        report_ignored(function, "psk could not complete a deferred clean-up")


class _OutOfTimeError(BaseException):
    """Exit can wait no longer; not an Exception, so that no called code handles it as its own."""


@contextmanager
def _interrupted_at_exit(until: float) -> Iterator[None]:
    """Interrupt the block by SIGALRM once the program has ended, unless something else uses that signal."""
    if threading.main_thread().is_alive() or not hasattr(signal, "setitimer"):
        yield
        return

    def interrupt(*_: object) -> None:
        raise _OutOfTimeError

    left = until - time.monotonic()
    if left <= 0 or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL or any(signal.getitimer(signal.ITIMER_REAL)):
        yield
        return
    signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, left)
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


class _Local(threading.local):
    """The time until which this thread may run pending calls for `flush`."""

    until = float("inf")


_cleanup = _Cleanup()
_local = _Local()


def later(function: Callable[..., object], *args: Any) -> None:
    """Call a function soon in another thread; safe in a finaliser, since it takes no lock and never raises.

    Calls are made one at a time, in order. An error goes to `sys.unraisablehook`. A forked child makes none of its
    parent's pending calls.

    Args:
        function: What to call; it may do I/O, with a finite timeout.
        *args: Its arguments.
    """
    cleanup = _cleanup
    cleanup.pending.put((function, args))
    cleanup.start()


def flush(timeout: float = 1.0) -> bool:
    """Wait until every call passed to `later` so far has been made.

    Where no thread can be started, as in Python 3.12 while the interpreter exits, the calls are made here until the
    timeout. Calls bounded by `seconds_left` then end in time, and at exit an alarm interrupts the others.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether all of them were made.
    """
    until = time.monotonic() + timeout
    cleanup = _cleanup
    if cleanup.pending.empty() and not cleanup.attended.locked():
        return True
    done = threading.Event()
    later(done.set)
    while not done.is_set():
        if not cleanup.start():
            cleanup.run_here(until)
        left = until - time.monotonic()
        if left <= 0:
            break
        done.wait(min(left, POLL_SECONDS))
    return done.is_set()


def flush_at_exit() -> bool:
    """Wait as `flush` does, for at most 0.8 s; during exit, all callers together wait no longer than that."""
    cleanup = _cleanup
    # Exit handlers run after the main thread has stopped.
    cleanup.is_exiting = cleanup.is_exiting or not threading.main_thread().is_alive()
    start = time.monotonic()
    done = flush(max(EXIT_SECONDS - cleanup.waited, 0.0))
    if cleanup.is_exiting:
        cleanup.waited += time.monotonic() - start
    return done


def seconds_left(limit: float) -> float:
    """Return the seconds that a call may take which `flush` may be making in this thread.

    Args:
        limit: Seconds that it may take otherwise.
    """
    return max(min(limit, _local.until - time.monotonic()), 0.0)


def finalize_in_child(function: Callable[[], object], priority: int) -> None:
    """Call a function when this process ends, if it is a child of multiprocessing; otherwise do nothing.

    Before Python 3.13, forked children of multiprocessing end without exit handlers.

    Args:
        function: Called without arguments, perhaps in addition to the exit handlers.
        priority: Higher ones are called first; sessions of `shm` end at -100. Negative.
    """
    processes, finalizers = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if processes is None or finalizers is None or processes.parent_process() is None:
        return

    def finish() -> None:
        _cleanup.is_exiting = True
        function()

    finalizers.Finalize(None, finish, exitpriority=priority)


class _Probe:
    """Equal to a callback, and records whether it was compared with it: `atexit` does not say what is registered."""

    __hash__ = object.__hash__

    def __init__(self, callback: Callable[[], object]) -> None:
        self._callback = callback
        self.found = False

    def __eq__(self, other: object) -> bool:
        is_it: bool = other == self._callback
        self.found = self.found or is_it
        return is_it


def call_at_exit(callback: Callable[[], None]) -> None:
    """Call a function when the program, or a child of multiprocessing, ends; `atexit.unregister` cancels that."""
    atexit.unregister(callback)  # a forked child may have inherited the registration
    atexit.register(callback)

    def call() -> None:
        if _unregister(callback):
            callback()

    finalize_in_child(call, CALLBACK_PRIORITY)


def move_first_at_exit(callback: Callable[[], None]) -> None:
    """Let a registered callback run before all that were registered since; a cancelled one stays cancelled."""
    # Callbacks that are registered while exit handlers run are never called; the main thread has stopped by then.
    if threading.main_thread().is_alive() and _unregister(callback):
        atexit.register(callback)


def _unregister(callback: Callable[[], None]) -> bool:
    probe: Any = _Probe(callback)
    atexit.unregister(probe)  # which only compares
    return bool(probe.found)


def _flush_before_exit() -> None:
    if not flush_at_exit():
        with suppress(Warning):  # where warnings are errors: there is no caller left to catch one
            warnings.warn(
                f"not all objects could be evicted within {EXIT_SECONDS:g} s of the interpreter's exit; those with a "
                "lease expire, and the others stay until they are evicted",
                ResourceWarning,
                stacklevel=1,
            )


@after_fork_in_child
def _reset() -> None:
    global _cleanup, _local  # noqa: PLW0603  the thread does not exist in the child, and the work is the parent's
    _cleanup = _Cleanup()
    _local = _Local()


# Not atexit: finalisers run at exit by weakref's own hook, youngest first, and this one is older than any that calls
# `later`. Functions registered with atexit from now on run before all of them.
weakref.finalize(later, _flush_before_exit)
