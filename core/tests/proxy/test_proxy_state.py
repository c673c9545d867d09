"""The functions of proxies and a proxy's own attributes show and change its state."""

import asyncio
import subprocess
import sys
import threading
import time

import pytest

from psk.errors import NotAProxyError, ProxyResolveError
from psk.proxy import (
    Proxy,
    ProxyOr,
    aresolve,
    extract,
    get_factory,
    is_resolved,
    make_proxy,
    resolve,
    resolve_async,
)
from psk.proxy.target import public_class


def test_extract_gives_the_target(proxy_of):
    target = object()
    assert extract(proxy_of(target)) is target


def test_resolve_and_is_resolved(counted):
    factory = counted(1)
    proxy = Proxy(factory)
    assert not is_resolved(proxy)
    assert factory.calls == 0
    assert resolve(proxy) is None
    assert is_resolved(proxy)
    resolve(proxy)
    assert factory.calls == 1


def test_get_factory_does_not_resolve(counted):
    factory = counted(1)
    proxy = Proxy(factory)
    assert get_factory(proxy) is factory
    assert proxy.__proxy_factory__ is factory
    assert not is_resolved(proxy)


@pytest.mark.parametrize("helper", [extract, resolve, resolve_async, is_resolved, get_factory])
def test_helpers_refuse_what_is_no_proxy(helper):
    with pytest.raises(NotAProxyError, match="'int'"):
        helper(3)


def test_aresolve_refuses_what_is_no_proxy():
    with pytest.raises(NotAProxyError):
        asyncio.run(aresolve(3))


def test_the_own_attributes_are_there_in_every_state(proxy_of):
    proxy = proxy_of([1])
    assert proxy.__proxy_wrapped__ == [1]
    assert proxy.__proxy_resolved__
    assert proxy.__proxy_factory__() == [1]
    with pytest.raises(AttributeError):
        _ = proxy.__proxy_unknown__


def test_deleting_the_target_makes_the_proxy_unresolved(counted):
    factory = counted([1])
    proxy = Proxy(factory)
    for calls in (1, 2, 3):
        assert [len(proxy), len(proxy), proxy.count(1), proxy == [1]] == [1, 1, 1, True]
        assert factory.calls == calls
        del proxy.__proxy_wrapped__
        assert not is_resolved(proxy)
        assert public_class(proxy) is Proxy
    del proxy.__proxy_wrapped__


def test_setting_the_target_replaces_it(proxy_of):
    proxy = proxy_of([1])
    proxy.__proxy_wrapped__ = "abc"
    assert [len(proxy), proxy.upper(), proxy[1], proxy == "abc", str(proxy)] == [3, "ABC", "b", True, "abc"]
    proxy.__proxy_wrapped__ = {1: 2}
    assert [len(proxy), proxy[1], isinstance(proxy, dict)] == [1, 2, True]


def test_resolve_async_starts_and_a_later_use_waits_for_that_call(counted):
    release = threading.Event()

    class Slow(counted):
        def __call__(self):
            release.wait()
            return super().__call__()

    factory = Slow([1, 2])
    proxy = Proxy(factory)
    assert resolve_async(proxy) is None
    assert not is_resolved(proxy)
    threading.Timer(0.05, release.set).start()
    assert len(proxy) == 2
    assert factory.calls == 1
    resolve_async(proxy)
    assert factory.calls == 1


def test_resolve_async_leaves_a_failure_to_the_use():
    def factory():
        raise OSError("no")

    proxy = Proxy(factory)
    resolve_async(proxy)
    time.sleep(0.05)
    with pytest.raises(ProxyResolveError):
        len(proxy)


def test_aresolve_gives_the_target_and_keeps_the_loop_running():
    ticks = []

    async def tick():
        while True:
            ticks.append(1)
            await asyncio.sleep(0.005)

    async def main():
        ticking = asyncio.create_task(tick())
        all_begun = threading.Barrier(8, timeout=10)
        proxies = [Proxy(lambda: (all_begun.wait(), time.sleep(0.1), "target")[2]) for _ in range(8)]
        targets = await asyncio.gather(*map(aresolve, proxies))
        ticking.cancel()
        assert targets == ["target"] * 8
        assert all(type(target) is str for target in targets)
        assert await aresolve(proxies[0]) == "target"

    asyncio.run(main())
    assert len(ticks) > 5


def test_aresolve_raises_the_error_of_the_factory():
    def factory():
        raise OSError("no")

    with pytest.raises(ProxyResolveError, match="OSError: no"):
        asyncio.run(aresolve(Proxy(factory)))


def test_make_proxy_knows_class_and_hash_without_resolving(counted):
    factory = counted(5)
    proxy = make_proxy(factory, int, 5)
    assert isinstance(proxy, int)
    assert proxy.__class__ is int
    assert hash(proxy) == 5
    assert factory.calls == 0
    assert proxy + 1 == 6


def test_a_class_known_to_be_unhashable_is_enough(counted):
    factory = counted([])
    with pytest.raises(TypeError, match="unhashable type: 'Proxy of list'"):
        hash(make_proxy(factory, list))
    assert factory.calls == 0


def test_cached_defaults_serve_while_unresolved(counted):
    proxy = Proxy(counted("abc"), cache_defaults=True, target="abc")
    del proxy.__proxy_wrapped__
    assert isinstance(proxy, str)
    assert hash(proxy) == hash("abc")
    assert not is_resolved(proxy)


def test_proxy_or_can_be_subscripted():
    assert str(ProxyOr[int]) == "typing.Union[psk.proxy.Proxy[int], int]" or sys.version_info >= (3, 14)


def test_a_subscripted_proxy_makes_proxies_and_does_not_resolve_them(counted):
    factory = counted([1])
    proxy = Proxy[list](factory)
    assert factory.calls == 0
    assert proxy[0] == 1


def test_importing_the_proxy_is_light():
    heavy = "dataclasses logging inspect asyncio pathlib uuid concurrent.futures tempfile numpy json"
    code = (
        "import sys, types; package = types.ModuleType('psk'); package.__path__ = [sys.argv[1]];"
        "sys.modules['psk'] = package; import psk.proxy;"
        f"p = psk.proxy.Proxy(lambda: [1]); len(p); print([n for n in {heavy.split()!r} if n in sys.modules])"
    )
    import psk.proxy

    source = psk.proxy.__file__.removesuffix("/proxy/__init__.py")
    output = subprocess.run([sys.executable, "-S", "-c", code, source], capture_output=True, check=True, text=True)
    assert output.stdout.strip() == "[]"
