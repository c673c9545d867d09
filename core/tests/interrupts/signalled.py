"""Use a store, and the same objects in a signal handler that comes at random instants."""

import faulthandler
import random
import signal
import sys

import psk

URI, COUNT = sys.argv[1], int(sys.argv[2])
store = psk.Store("signalled", URI)
key = store.put({"number": 7})
calls = 0
shared = [None, store.reserve()]


def ring(*_):
    """Do what the interrupted code may be at, with the very same objects."""
    global calls  # noqa: PLW0603
    calls += 1
    assert store.get(key) == {"number": 7}
    if shared[0] is not None:
        assert shared[0]["number"] == 7
    made = store.put([calls], ttl=60)
    store.renew(made, 30)
    store.wait(made, timeout=5)
    store.evict(made)
    if not store.exists(shared[1]):
        store.fulfil(shared[1], b"x" * 100_000)
    # Again and again: one that comes just before a thread begins to wait is seen only with the next.
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 2e-3), 0.25)


# What a handler finds half imported, as it came in between, it cannot use.
signal.signal(signal.SIGALRM, ring)
ring()
store.evict(shared[1])
signal.setitimer(signal.ITIMER_REAL, 0.001, 0.25)
while calls < COUNT:
    faulthandler.dump_traceback_later(60, exit=True)
    shared[0] = store.proxy_from_key(key)
    assert len(shared[0]) == 1
    store.get(key)
    store.wait(shared[1], timeout=30)  # woken by the handler, if it comes now
    store.evict(shared[1])
    store.evict(store.put([1], ttl=60))
signal.signal(signal.SIGALRM, signal.SIG_IGN)
signal.setitimer(signal.ITIMER_REAL, 0)
store.clear()
store.close()
