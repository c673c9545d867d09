"""Where is done what finalisers may not do? In one daemon thread, which ends when idle and delays no exit."""

from __future__ import annotations

import _thread
import os
import signal
import sys
import threading
import time
import warnings
import weakref
from contextlib import contextmanager, suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

from psk.unraisable import report_ignored

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

IDLE_SECONDS: Final = 0.2
"""How long the thread waits for more work before it ends."""

EXIT_SECONDS: Final = 0.8
"""How long the interpreter's exit waits for what is still to be done; all that wait there share it."""

FINISHING_PRIORITY: Final = -90
"""When children of multiprocessing finish: after all else of ours, and before sessions end."""

POLL_SECONDS: Final = 0.02
"""How often `flush` looks whether a thread is still to be had."""


class _Line:
    """What waits to be done, and whether a thread is at it; a forked child begins with an empty one."""

    __slots__ = ("attended", "waiting")

    def __init__(self) -> None:
        self.waiting: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self.attended = threading.Lock()

    def attend(self) -> bool:
        # Nothing here may block: a finaliser runs anywhere, also in a thread that holds whatever lock.
        if not self.attended.acquire(blocking=False):
            return True
        try:
            # Not Thread.start, which takes locks and waits for the thread: that is left to a thread of its own.
            _thread.start_new_thread(self._start, ())
        except RuntimeError:  # none to be had, or the interpreter is ending: the next caller tries again
            self.attended.release()
            return False
        return True

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name="psk-finishing", daemon=True).start()
        except RuntimeError:  # this one is there, and the last to be had
            self._work()

    def work_here(self, until: float) -> None:
        """Do what waits in this thread, if no other is at it, as none can be had."""
        if not self.attended.acquire(blocking=False):
            return
        before, _here.until = _here.until, until
        try:
            with _interrupted_at_exit(until):
                while time.monotonic() < until:
                    _call(*self.waiting.get_nowait())
        except (Empty, _OutOfTimeError):
            pass
        finally:
            _here.until = before
            self.attended.release()

    def _work(self) -> None:
        _exit.watch()
        while True:
            try:
                function, args = self.waiting.get(timeout=IDLE_SECONDS)
            except Empty:
                self.attended.release()
                # What came between the two steps found the line attended.
                if self.waiting.empty() or not self.attended.acquire(blocking=False):
                    return
                continue
            _call(function, args)
            del function, args  # they may be large, and the next ones may be long in coming


def _call(function: Callable[..., object], args: tuple[Any, ...]) -> None:
    try:
        function(*args)
    except _OutOfTimeError:
        raise
    except BaseException:  # noqa: BLE001  nobody is there to catch it, and the thread serves others
        report_ignored(function, "psk could not finish what a finaliser left to it")


class _OutOfTimeError(BaseException):
    """Exit can wait no longer; nothing may take it for an error of its own."""


@contextmanager
def _interrupted_at_exit(until: float) -> Iterator[None]:
    """Interrupt what hangs in the main thread after the program's end; only if no one else uses the alarm clock."""
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


class _Here(threading.local):
    """Until when this thread may be busy with what waits in line, which another was to do."""

    until = float("inf")


class _Exit:
    """Whether this process is ending, and how long that has waited so far."""

    __slots__ = ("_begun", "_waited", "_watched")

    def __init__(self) -> None:
        self._begun = self._watched = False
        self._waited = 0.0

    def watch(self) -> None:
        """Finish also at the end of children of multiprocessing, which may end without exit handlers."""
        if not self._watched:
            self._watched = True
            finalize_in_child(_finish_at_exit, FINISHING_PRIORITY)

    def begin(self) -> None:
        self._begun = True

    def wait(self) -> bool:
        # Exit handlers find the main thread stopped.
        self._begun = self._begun or not threading.main_thread().is_alive()
        start = time.monotonic()
        done = flush(max(EXIT_SECONDS - self._waited, 0.0))
        if self._begun:
            self._waited += time.monotonic() - start
        return done


_line = _Line()
_here = _Here()
_exit = _Exit()


def later(function: Callable[..., object], *args: Any) -> None:
    """Have a function called soon in another thread; safe in a finaliser, for it takes no lock and never raises.

    Calls are made one after the other, in order. An error goes to `sys.unraisablehook`. A forked child does nothing of
    what its parent had waiting.

    Args:
        function: What to call; it may do I/O, with a finite timeout.
        *args: Its arguments.
    """
    line = _line
    line.waiting.put((function, args))
    line.attend()


def flush(timeout: float = 1.0) -> bool:
    """Wait until everything is done that was handed to `later` so far.

    Where no thread can be had, as in Python 3.12 once the interpreter ends, it is done here, one after the other for
    as long as there is time; what `seconds_left` bounds ends in time too, and at exit an alarm interrupts the rest.

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether it is.
    """
    until = time.monotonic() + timeout
    line = _line
    if line.waiting.empty() and not line.attended.locked():
        return True
    done = threading.Event()
    later(done.set)
    while not done.is_set():
        if not line.attend():
            line.work_here(until)
        left = until - time.monotonic()
        if left <= 0:
            break
        done.wait(min(left, POLL_SECONDS))
    return done.is_set()


def flush_at_exit() -> bool:
    """Wait as `flush` does, for at most 0.8 s; at the end of the program for less, as all that wait there share it."""
    return _exit.wait()


def seconds_left(limit: float) -> float:
    """Give how long something may take that is perhaps called by `flush`, in seconds.

    Args:
        limit: How long it may take otherwise.
    """
    return max(min(limit, _here.until - time.monotonic()), 0.0)


def finalize_in_child(function: Callable[[], object], priority: int) -> None:
    """Have a function called at the end of this process if it is a child of multiprocessing; else nothing.

    Before Python 3.13 its forked children end without exit handlers.

    Args:
        function: Called without arguments, perhaps beside the exit handlers.
        priority: Higher ones are called first; sessions of `shm` end at -100. Negative.
    """
    processes, finalizers = sys.modules.get("multiprocessing.process"), sys.modules.get("multiprocessing.util")
    if processes is None or finalizers is None or processes.parent_process() is None:
        return

    def finish() -> None:
        _exit.begin()
        function()

    finalizers.Finalize(None, finish, exitpriority=priority)


def _finish_at_exit() -> None:
    if not flush_at_exit():
        with suppress(Warning):  # where warnings are errors: there is nobody left to catch one
            warnings.warn(
                f"not everything that was to be evicted was evicted within {EXIT_SECONDS:g} s of the interpreter's "
                "exit; objects with a lease expire, the others stay until they are evicted",
                ResourceWarning,
                stacklevel=1,
            )


def _begin_anew() -> None:
    global _line, _exit, _here  # noqa: PLW0603  the thread does not exist in the child, and the work is the parent's
    _line = _Line()
    _exit = _Exit()
    _here = _Here()


# Not atexit: finalisers run at exit by weakref's own hook, youngest first, and this one is older than any that calls
# `later`. What is registered with atexit from now on runs before all of them.
weakref.finalize(later, _finish_at_exit)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
