"""A child that was forked while other threads were resolving works."""

import os
import threading

import pytest

from psk import background
from psk.proxy import Proxy, resolve_async

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")


def in_child(function):
    """Run a function in a forked child and tell whether it returned True in time."""
    child = os.fork()
    if child == 0:
        threading.Timer(20, os._exit, [2]).start()
        try:
            os._exit(0 if function() else 1)
        finally:
            os._exit(3)
    return os.waitpid(child, 0)[1] == 0


def test_a_proxy_that_another_thread_was_resolving_resolves_in_the_child():
    started, release = threading.Event(), threading.Event()
    parent = os.getpid()

    def factory():
        if os.getpid() == parent:
            started.set()
            release.wait()
        return [1, 2]

    proxy = Proxy(factory)
    thread = threading.Thread(target=len, args=[proxy])
    thread.start()
    started.wait()
    assert in_child(lambda: len(proxy) == 2)
    release.set()
    thread.join()


def test_a_resolved_proxy_is_resolved_in_the_child(counted):
    factory = counted([1])
    proxy = Proxy(factory)
    assert len(proxy) == 1
    assert in_child(lambda: len(proxy) == 1 and factory.calls == 1)


def test_the_background_works_in_the_child():
    assert background.submit(len, "abc").result(10) == 3

    def use():
        proxy = Proxy(lambda: [1])
        resolve_async(proxy)
        return len(proxy) == 1 and background.submit(len, "ab").result(10) == 2

    assert in_child(use)
