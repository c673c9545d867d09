"""Functions that the executor tests submit as tasks."""

import os
import signal
import threading
import time
from concurrent.futures import Future
from dataclasses import dataclass
from typing import NamedTuple

from psk import Proxy, extract, get_key, is_resolved
from psk.store import close_opened_stores
from psk_patterns.deferred_cleanup import flush
from psk_patterns.executor import task

LARGE = 1000


class Pair(NamedTuple):
    left: object
    right: object


@dataclass(frozen=True)
class Model:
    weights: object
    name: object


class Client:
    """Not a `concurrent.futures.Executor`: it has `submit` alone, and its futures the two methods that are needed.

    It runs each task in a thread of its own, one after the other.
    """

    def __init__(self):
        self.threads = []

    def submit(self, function, *args, **kwargs):
        future = ClientFuture()
        before = self.threads[-1] if self.threads else None
        self.threads.append(threading.Thread(target=self.run, args=(before, future, function, args, kwargs)))
        self.threads[-1].start()
        return future

    @staticmethod
    def run(before, future, function, args, kwargs):
        if before is not None:
            before.join()
        try:
            future.inner.set_result(function(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  as executors do
            future.inner.set_exception(error)

    def join(self):
        for thread in self.threads:
            thread.join()


class ClientFuture:
    def __init__(self):
        self.inner = Future()

    def result(self):
        return self.inner.result()

    def add_done_callback(self, callback):
        self.inner.add_done_callback(lambda _: callback(self))


def total(*parts):
    """Add up what there is in arrays or numbers."""
    return sum(float(sum(part)) if hasattr(part, "__len__") else part for part in parts)


def kinds(*args, **kwargs):
    """Name the types of what arrives, and say which are proxies that nobody has used."""
    return [kind_of(arg) for arg in (*args, *kwargs.values())]


def kind_of(value):
    if issubclass(type(value), Proxy):
        return "resolved" if is_resolved(value) else "proxy"
    if type(value) in {list, tuple, Pair}:
        return [kind_of(part) for part in value]
    if type(value) is dict:
        return {name: kind_of(part) for name, part in value.items()}
    return kind_of(value.weights) if type(value) is Model else type(value).__name__


def key_in(value):
    return get_key(value)


def fill(byte, count=LARGE):
    return bytes([byte]) * count


def same(value):
    return value


def wrapped(value):
    return {"inner": [value, Pair(value, Model(value, "name"))]}


def produce(future, value):
    future.set_result(value)


def fail(*_args):
    raise ValueError("on purpose")


def exit_task(*_args):
    raise SystemExit(3)


def pause(seconds, *_args):
    time.sleep(seconds)
    return seconds


def pause_and_add(seconds, item):
    time.sleep(seconds)
    return total(item)


def wait_for(event, *_args):
    assert event.wait(30)


def die(*_args):
    os.kill(os.getpid(), signal.SIGKILL)


def unpicklable(*_args):
    return [b"x" * LARGE, threading.Lock()]


def process_id(*_args):
    return os.getpid()


def extracted(value):
    return type(extract(value)).__name__


def leave(seconds):
    """Close the stores that tasks opened in this process, when finalisers are done with them."""
    flush()
    for arrived in task._arrived.values():
        if arrived._store is not None:
            arrived._store.close()
    task._arrived.clear()
    close_opened_stores()
    time.sleep(seconds)
    return os.getpid()


def is_large(obj):
    return isinstance(obj, bytes) and len(obj) >= LARGE
