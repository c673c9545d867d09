"""Interrupts at every instant at which the interpreter takes note of them, and at random ones."""

from __future__ import annotations

import _thread
import random
import signal
import sys
import threading
import time
import traceback
from contextlib import contextmanager
from functools import partial

LIMIT_SECONDS = 30.0


class _Tracing:
    """Ends with an interrupt that is pending, to be raised where the traced code next looks for one.

    By operators whose methods are in C: after a call the tracing function would look for interrupts itself, and were it
    called again, at its start.
    """

    __neg__ = staticmethod(partial(sys.settrace, None))
    __invert__ = staticmethod(partial(_thread.interrupt_main, signal.SIGINT))


_tracing = _Tracing()


def interrupted(call, step, where):
    """Call a function, and have Ctrl-C pressed before the `step`-th instruction of the code in some folders.

    Args:
        call: The function.
        step: Counts instructions from 1.
        where: A part of the paths of the files whose instructions count.

    Returns:
        Whether there were as many instructions, and whether the call was interrupted.
    """
    left = step

    def trace(frame, event, arg):
        if where not in frame.f_code.co_filename:
            return None
        frame.f_trace = trace_one  # by now: Python 3.13 asks for it before it traces instructions
        frame.f_trace_opcodes = True
        return trace_one

    def trace_one(frame, event, arg):
        nonlocal left
        if event == "opcode":
            left -= 1
            if left == 0:
                _ = -_tracing
                _ = ~_tracing
        return trace_one

    before = sys.gettrace()
    # A program that a script starts in the background ignores Ctrl-C.
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    sys._getframe().f_trace_opcodes = True
    try:
        sys.settrace(trace)
        call()
        sys.settrace(before)
    except KeyboardInterrupt:
        sys.settrace(before)
        return True, True
    finally:
        sys.settrace(before)
        signal.signal(signal.SIGINT, handler)
    return left <= 0, False


def steps(call, prepare, check, *, where="psk", stride=1, start=1):
    """Interrupt a call at one instant after the other, each time anew, until it comes to its end.

    Args:
        call: Called with what `prepare` returns.
        prepare: Called before each try.
        check: Called after each try with what `prepare` returned, in another thread; raises if something is amiss.
        where: As of `interrupted`.
        stride: How many instructions lie between two instants.
        start: The first one.

    Returns:
        How many tries were interrupted, and what was amiss, by the number of the instruction.
    """
    count, amiss, step = 0, {}, start
    while True:
        prepared = prepare()
        reached, hit = interrupted(partial(call, prepared), step, where)
        count += hit
        try:
            elsewhere(partial(check, prepared))
        except Exception as error:  # noqa: BLE001  shown by the test
            amiss[step] = error
        if not reached:
            return count, amiss
        step += stride


def elsewhere(call):
    """Call a function in a new thread and give its result; a hang is a TimeoutError."""
    results = []

    def run():
        try:
            results.append((call(), None))
        except BaseException as error:  # noqa: BLE001  raised below
            results.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(LIMIT_SECONDS)
    if not results:
        stack = traceback.format_stack(sys._current_frames()[thread.ident])
        raise TimeoutError("it hangs:\n" + "".join(stack))
    value, error = results[0]
    if error is not None:
        raise error
    return value


class RandomInterrupts:
    """Raise KeyboardInterrupt at random instants of the main thread, as a context manager.

    Args:
        seed: Decides the instants.
        longest: Seconds that a call takes at most, by a first guess; it follows what calls really take.
        number: The signal. SIGALRM comes from the alarm clock, which the time limit of tests uses too; any other is
            sent by a thread, which is less precise.
    """

    def __init__(self, seed, *, longest=0.001, number=signal.SIGALRM):
        self._random = random.Random(seed)
        self._longest = longest
        self._number = number
        self._armed = False

    def __enter__(self):
        self._before = signal.signal(self._number, self._ring)
        return self

    def __exit__(self, *_):
        signal.signal(self._number, self._before)

    def _ring(self, *_):
        if self._armed:
            raise KeyboardInterrupt

    def strike(self, call):
        """Call a function, which is interrupted unless it is quicker; tell whether it was."""
        start = time.perf_counter()
        sender = self._sender(self._random.uniform(1e-6, self._longest))
        try:
            self._armed = True
            sender.start()
            call()
            self._armed = False
        except KeyboardInterrupt:
            self._armed = False
            return True
        finally:
            self._armed = False
            sender.cancel()
            sender.join()
        # As long as the calls that were not hit take, and half as long again.
        self._longest += (1.5 * (time.perf_counter() - start) - self._longest) / 16
        return False

    def _sender(self, seconds):
        if self._number == signal.SIGALRM:
            return _AlarmClock(seconds)
        return threading.Timer(seconds, signal.pthread_kill, (threading.get_ident(), self._number))


class _AlarmClock:
    """Send SIGALRM to this process, by the methods of a `threading.Timer`."""

    def __init__(self, seconds):
        self._seconds = seconds

    def start(self):
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def cancel(self):
        signal.setitimer(signal.ITIMER_REAL, 0)

    def join(self):
        pass


@contextmanager
def finalised_in(name, finalise):
    """Run a finaliser in each new thread of a name before it has started, as the garbage collector may.

    Args:
        name: Of the threads.
        finalise: The finaliser.

    Yields:
        A list that gets the name for each thread beside which the finaliser came to its end.
    """
    start = threading.Thread.start
    finished = []

    def finalise_and_start(thread):
        if thread.name == name:
            finaliser = threading.Thread(target=finalise, daemon=True)
            start(finaliser)
            finaliser.join(LIMIT_SECONDS)
            finished.extend([] if finaliser.is_alive() else [name])
        start(thread)

    threading.Thread.start = finalise_and_start
    try:
        yield finished
    finally:
        threading.Thread.start = start
