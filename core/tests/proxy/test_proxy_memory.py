"""A proxy frees its target as soon as it is dropped."""

import gc
import sys
import weakref

import pytest

from psk.errors import ProxyResolveError
from psk.proxy import Proxy


class Target:
    def __len__(self):
        return 3


@pytest.fixture
def _no_cycle_collector():
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_cycle_collector")
@pytest.mark.parametrize("uses", [1, 2, 5])
def test_dropping_a_proxy_frees_its_target_at_once(uses):
    proxy = Proxy(Target)
    for _ in range(uses):
        assert len(proxy) == 3
    target = weakref.ref(proxy.__proxy_wrapped__)
    alive = weakref.ref(proxy)
    del proxy
    assert alive() is None
    assert target() is None


@pytest.mark.usefixtures("_no_cycle_collector")
def test_unresolving_frees_the_target_at_once():
    proxy = Proxy(Target)
    assert len(proxy) + len(proxy) == 6
    target = weakref.ref(proxy.__proxy_wrapped__)
    del proxy.__proxy_wrapped__
    assert target() is None


@pytest.mark.usefixtures("_no_cycle_collector")
def test_replacing_frees_the_old_target_at_once():
    proxy = Proxy(Target)
    assert len(proxy) + len(proxy) == 6
    target = weakref.ref(proxy.__proxy_wrapped__)
    proxy.__proxy_wrapped__ = [1]
    assert target() is None


@pytest.mark.usefixtures("_no_cycle_collector")
def test_a_failed_resolve_leaves_no_cycle():
    class Factory:
        def __call__(self):
            raise ValueError

    proxy = Proxy(Factory())
    alive = weakref.ref(proxy)
    with pytest.raises(ProxyResolveError):
        len(proxy)
    del proxy
    assert alive() is None


def test_references_are_counted_right():
    target = Target()
    before = sys.getrefcount(target)
    for _ in range(100):
        proxy = Proxy(lambda: target)
        assert len(proxy) + len(proxy) == 6
        del proxy.__proxy_wrapped__
        proxy.__proxy_wrapped__ = target
        assert len(proxy) + len(proxy) == 6
        del proxy
    assert sys.getrefcount(target) == before


def test_a_cycle_through_the_target_is_collected():
    proxy = Proxy(Target)
    assert len(proxy) + len(proxy) == 6
    proxy.me = proxy
    alive = weakref.ref(proxy)
    del proxy
    gc.collect()
    assert alive() is None


def test_weak_references_are_to_the_proxy(proxy_of):
    proxy = proxy_of([1])
    assert weakref.ref(proxy)() is proxy
    assert len(weakref.proxy(proxy)) == 1
    held = weakref.WeakValueDictionary(a=proxy)
    assert held["a"] is proxy


def test_the_size_of_a_proxy_is_its_own(counted):
    factory = counted([0] * 1000)
    assert sys.getsizeof(Proxy(factory)) < 200
    assert factory.calls == 0
