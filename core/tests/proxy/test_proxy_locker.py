"""A locked proxy stays unused until it is unlocked."""

import pickle

import pytest

from psk.errors import ProxyLockedError
from psk.proxy import Proxy, ProxyLocker, is_resolved


def fetch():
    return [1]


def test_unlock_gives_the_proxy_back_unresolved():
    proxy = Proxy(fetch)
    locker = ProxyLocker(proxy)
    assert locker.unlock() is proxy
    assert not is_resolved(proxy)


def test_the_proxy_cannot_be_reached_otherwise():
    locker = ProxyLocker(Proxy(fetch))
    with pytest.raises(ProxyLockedError, match="unlock"):
        _ = locker._proxy
    with pytest.raises(AttributeError):
        _ = locker._proxy
    with pytest.raises(TypeError):
        len(locker)
    assert not is_resolved(locker.unlock())


def test_it_travels_locked():
    proxy = pickle.loads(pickle.dumps(ProxyLocker(Proxy(fetch)))).unlock()
    assert not is_resolved(proxy)
    assert proxy == [1]


def test_its_repr_does_not_resolve():
    proxy = Proxy(fetch)
    assert repr(ProxyLocker(proxy)).startswith("ProxyLocker(<unresolved Proxy: ")
    assert not is_resolved(proxy)
    assert str(ProxyLocker[int]).endswith("ProxyLocker[int]")
