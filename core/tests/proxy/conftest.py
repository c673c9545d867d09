"""Fixtures of the tests of the proxy, which run with its fast path and without it."""

import pytest

from psk import background
from psk.proxy import Proxy, fastpath, resolve

STATES = ("unresolved", "resolved", "used", "preset")


def pytest_generate_tests(metafunc):
    """Run every test with the fast path and without it; only proxies in use differ by it."""
    if "proxy_of" in metafunc.fixturenames:
        states = [(state, "fast") for state in STATES]
        metafunc.parametrize(("proxy_of", "fast_path"), [*states, ("used", "slow")], indirect=True)
    else:
        metafunc.parametrize("fast_path", ["fast", "slow"], indirect=True)


@pytest.fixture(autouse=True)
def fast_path(request, monkeypatch):
    """Switch the fast path on or off, here and in processes that the test starts."""
    monkeypatch.setattr(fastpath, "enabled", request.param == "fast")
    monkeypatch.setenv("PSK_FAST_PROXIES", "1" if request.param == "fast" else "0")
    return fastpath.enabled


@pytest.fixture(autouse=True)
def _short_idle(monkeypatch):
    """Let idle background threads end soon: the check for leaks waits for them after each test."""
    monkeypatch.setattr(background, "IDLE_SECONDS", 0.05)


@pytest.fixture
def proxy_of(request):
    """Make a proxy of a target, in each state that a proxy can be in."""

    def make(target, cls=Proxy):
        if request.param == "preset":
            return cls(lambda: target, target=target)
        proxy = cls(lambda: target)
        if request.param != "unresolved":
            resolve(proxy)
        if request.param == "used":
            bool(proxy.__doc__)
        return proxy

    return make


class Counted:
    """A factory that counts its calls."""

    def __init__(self, target):
        self.target = target
        self.calls = 0

    def __call__(self):
        self.calls += 1
        return self.target


@pytest.fixture
def counted():
    """Make a factory that counts its calls."""
    return Counted
