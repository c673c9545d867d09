"""What do the tests of the proxy share?"""

import pytest

from psk.proxy import Proxy, resolve


@pytest.fixture(params=["unresolved", "resolved", "used", "preset"])
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
