"""Calls that a signal cuts short, and calls that a signal handler makes, leave the connector as good as new."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import pytest

from faults.interrupts import RandomInterrupts
from psk import Store

# Not the one that the tests' own time limit uses.
SIGNAL = signal.SIGUSR1


@contextmanager
def handling(handler):
    before = signal.signal(SIGNAL, handler)
    try:
        yield
    finally:
        signal.signal(SIGNAL, before)


def use(store, data):
    """Put and get small and large objects, wait for one, and resolve a proxy of one."""
    key = store.put([1, 2])
    assert store.get(key) == [1, 2]
    large = store.put(data)
    assert store.connector.wait([large], timeout=20) == [large]
    assert store.get(large) == data
    assert store.proxy([3])[0] == 3
    store.evict(key)
    store.evict(large)


# What is interrupted in a finaliser is printed by the interpreter, and that is all.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("connections", [1, 16])
def test_a_call_cut_short_at_any_moment_leaves_a_connector_that_works(uri, scale, seed, connections):
    data = os.urandom(300_000)
    with Store.from_uri(f"{uri}&connections={connections}", cache_size=0) as store:
        use(store, data)
        start = time.monotonic()
        use(store, data)
        with RandomInterrupts(seed, longest=1.2 * (time.monotonic() - start), number=SIGNAL) as interrupts:
            for _ in range(scale("redis.interrupts")):
                interrupts.strike(lambda: use(store, data))
                # What an answer still due, a lost place in the pool or a lock left locked would break.
                use(store, data)
        gc.collect()
        pools = store.connector._channel.server._pools.values()
        assert [len(pool._idle) for pool in pools] == [1]
        assert [len(pool._calls) for pool in pools] == [0]


def test_a_place_in_the_pool_comes_back_from_a_call_that_vanished(uri):
    with Store.from_uri(f"{uri}&connections=1") as store:
        server = store.connector._channel.server
        lost = server._borrow(server.settings.addresses[0], time.monotonic() + 5)
        lost.__enter__()  # and cut short before the block, so that nobody calls __exit__
        del lost
        assert store.get(store.put([1])) == [1]


def test_a_signal_handler_may_use_the_connector_in_the_midst_of_a_call(uri):
    data = os.urandom(20_000_000)
    with Store.from_uri(f"{uri}&connections=1", cache_size=0) as store:
        key = store.put([1])
        got = []
        with handling(lambda *_: got.append((store.get(key), store.get(store.put([2]))))):
            sender = threading.Timer(0.005, signal.pthread_kill, (threading.get_ident(), SIGNAL))
            sender.start()
            while not got:
                store.evict(store.put(data))
            sender.join()
        assert got == [([1], [2])]


PROGRAM = """
import sys
from psk import Store
store = Store.from_uri(sys.argv[1])
key = store.connector.reserve(b"0123456789abcdef")
try:
    store.connector.wait([key], timeout=0.1)
except TimeoutError:
    print("waited")
"""


def test_a_process_ends_while_the_thread_that_listens_is_there(uri, scale):
    for _ in range(scale("redis.exits")):
        run = subprocess.run(
            [sys.executable, "-c", PROGRAM, uri], capture_output=True, text=True, timeout=60, check=False
        )
        assert (run.returncode, run.stdout, run.stderr) == (0, "waited\n", "")
