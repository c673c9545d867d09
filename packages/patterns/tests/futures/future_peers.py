"""Functions that the tests of futures run in other processes."""

import os
import time
from concurrent.futures import CancelledError

from psk import extract
from psk_patterns import wait
from psk_patterns.errors import FutureClaimedError, FutureDoneError


class SpawnedError(Exception):
    """An error with an attribute that must arrive."""

    def __init__(self, text, code):
        super().__init__(text, code)
        self.code = code


class StubbornError(Exception):
    """An error that pickle cannot bring back."""

    def __init__(self, one, *, two):
        super().__init__(f"{one} and {two}")


class OpaqueError(Exception):
    """An error that pickle cannot take."""

    def __init__(self):
        super().__init__("opaque")
        self.handle = os.open  # can be pickled
        self.lock = (number for number in ())


class UnreadableError(Exception):
    """An error without a text."""

    def __str__(self):
        raise ValueError("no text")


def race(futures, number, ready, gate):
    """Set each future, or cancel some, all processes from the same moment on; give the positions won."""
    won = []
    ready.set_result(None)
    gate.result(60)
    for position, future in enumerate(futures):
        if position % 3 == number == 0:
            if future.cancel():
                won.append(position)
            continue
        try:
            future.set_result(number)
        except (FutureDoneError, FutureClaimedError, CancelledError):
            continue
        won.append(position)
    return won


def produce(future, value, delay=0.0):
    """Claim, work, give."""
    future.claim()
    time.sleep(delay)
    future.set_result(value)


def break_down():
    """Raise an error."""
    raise SpawnedError("went wrong", 7)


def fail(future):
    """Give an error with a traceback."""
    try:
        break_down()
    except SpawnedError as error:
        future.set_exception(error)


def consume(future):
    """Wait for a future."""
    return future.result()


def use(proxy):
    """Use a proxy of a future."""
    return sum(extract(proxy))


def consume_all(futures):
    """Wait for many futures."""
    return sorted(future.result() for future in wait(futures).done)


def relay(before, after, step):
    """Do one task of a chain."""
    after.claim()
    after.set_result((before.result() if before is not None else []) + [step])


def blocked(futures, number, timeout):
    """Wait for a future whose producer needs this worker's place."""
    return futures[number].result(timeout)
