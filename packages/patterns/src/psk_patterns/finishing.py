"""Where is done what finalisers may not do? In one daemon thread, which ends when idle and delays no exit."""

from __future__ import annotations

import _thread
import os
import sys
import threading
import warnings
import weakref
from contextlib import suppress
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable

IDLE_SECONDS: Final = 0.2
"""How long the thread waits for more work before it ends."""

EXIT_SECONDS: Final = 0.8
"""How long the interpreter's exit waits for what is still to be done."""


class _Line:
    """What waits to be done, and whether a thread is at it; a forked child begins with an empty one."""

    __slots__ = ("attended", "waiting")

    def __init__(self) -> None:
        self.waiting: SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = SimpleQueue()
        self.attended = threading.Lock()

    def attend(self) -> None:
        # Nothing here may block: a finaliser runs anywhere, also in a thread that holds whatever lock.
        if not self.attended.acquire(blocking=False):
            return
        try:
            # Not Thread.start, which takes locks and waits for the thread: that is left to a thread of its own.
            _thread.start_new_thread(self._start, ())
        except RuntimeError:  # none to be had, or the interpreter is ending: the next caller tries again
            self.attended.release()

    def _start(self) -> None:
        try:
            threading.Thread(target=self._work, name="psk-finishing", daemon=True).start()
        except RuntimeError:
            self.attended.release()

    def _work(self) -> None:
        while True:
            try:
                function, args = self.waiting.get(timeout=IDLE_SECONDS)
            except Empty:
                self.attended.release()
                # What came between the two steps found the line attended.
                if self.waiting.empty() or not self.attended.acquire(blocking=False):
                    return
                continue
            try:
                function(*args)
            except BaseException:  # noqa: BLE001  nobody is there to catch it, and the thread serves others
                report_ignored(function, "psk could not finish what a finaliser left to it")
            del function, args  # they may be large, and the next ones may be long in coming


_line = _Line()


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

    Args:
        timeout: Seconds to wait at most.

    Returns:
        Whether it is.
    """
    if _line.waiting.empty() and not _line.attended.locked():
        return True
    done = threading.Event()
    later(done.set)
    return done.wait(timeout)


def report_ignored(source: object, message: str, error: BaseException | None = None) -> None:
    """Hand an exception that nobody is there to catch to `sys.unraisablehook`; never raises.

    Args:
        source: Where it comes from.
        message: What was ignored, or not done.
        error: The exception; None is the one that is being handled.
    """
    error = sys.exc_info()[1] if error is None else error
    hook: Callable[[Any], object] = sys.unraisablehook
    with suppress(Exception):  # nobody may be reading, or there may be no stderr at all
        if hook is sys.__unraisablehook__:  # takes only what the interpreter makes
            from traceback import format_exception

            sys.stderr.write(f"{message}: {source!r}\n{''.join(format_exception(error))}")
            return
        from types import SimpleNamespace

        trace = None if error is None else error.__traceback__
        hook(
            SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=trace, err_msg=message, object=source)
        )


def _finish_at_exit() -> None:
    if not flush(EXIT_SECONDS):
        with suppress(Warning):  # where warnings are errors: there is nobody left to catch one
            warnings.warn(
                f"about {_line.waiting.qsize()} objects were not evicted within {EXIT_SECONDS:g} s of the interpreter's"
                " exit; those with a lease expire, the others stay until they are evicted",
                ResourceWarning,
                stacklevel=1,
            )


def _begin_anew() -> None:
    global _line  # noqa: PLW0603  the thread does not exist in the child, and the work is the parent's
    _line = _Line()


# Not atexit: finalisers run at exit by weakref's own hook, youngest first, and this one is older than any that calls
# `later`. What is registered with atexit from now on runs before all of them.
weakref.finalize(later, _finish_at_exit)

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew)
