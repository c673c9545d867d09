"""Threads that are in the middle of everything that a store can do; a module of its own, which they keep alive."""

import threading
from contextlib import suppress

import psk


def start(uri):
    """Start them, and return when they are at it."""
    store = psk.Store("used", f"{uri}-used")
    begun = threading.Semaphore(0)

    def open_and_close():
        psk.Store("other", f"{uri}-other", register=False).close()

    def put_and_evict():
        key = store.put([1, 2], ttl=60)
        len(store.proxy_from_key(key))
        store.evict(key)
        store.evict(store.put(b"x" * 100_000))

    def work(turn):
        begun.release()
        with suppress(psk.errors.PskError):
            while True:
                turn()

    for turn in (open_and_close, put_and_evict) * 2:
        threading.Thread(target=work, args=(turn,), daemon=True).start()
        begun.acquire()
