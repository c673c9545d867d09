"""A proxy passed in the place of a key is refused with the way to its key, and not resolved for that."""

import asyncio

import pytest

import psk
from psk import Proxy, Store, get_key, is_resolved
from psk.errors import InvalidKeyError

CALLS = {
    "get": lambda store, key: store.get(key),
    "exists": lambda store, key: store.exists(key),
    "evict": lambda store, key: store.evict(key),
    "is_cached": lambda store, key: store.is_cached(key),
    "wait": lambda store, key: store.wait(key, timeout=0),
    "wait for several": lambda store, key: store.wait([key], timeout=0),
    "stat": lambda store, key: store.stat(key),
    "get_batch": lambda store, key: store.get_batch([key]),
    "evict_batch": lambda store, key: store.evict_batch([key]),
    "renew": lambda store, key: store.renew(key, 10),
    "take": lambda store, key: store.take(key, "claim"),
    "fulfil": lambda store, key: store.fulfil(key, 1),
    "proxy_from_key": lambda store, key: store.proxy_from_key(key),
    "aget": lambda store, key: asyncio.run(store.aget(key)),
    "await_key": lambda store, key: asyncio.run(store.await_key(key, timeout=0)),
}


@pytest.fixture
def store(tmp_path):
    with Store("tested", f"file://{tmp_path}/objects") as opened:
        yield opened
        opened.clear()


class Kept:
    """Objects of which a reference does not say the class."""


@pytest.mark.parametrize("call", CALLS)
def test_a_proxy_is_not_a_key(store, call):
    resolved = store.proxy([1, 2])
    proxies = [store.proxy(obj, evict=True) for obj in ([1, 2], Kept())]
    proxies.append(store.proxy_from_key(get_key(proxies[1])))
    for proxy in [*proxies, resolved]:
        with pytest.raises(InvalidKeyError, match="get_key"):
            CALLS[call](store, proxy)
        assert store.exists(get_key(proxy))
    assert not any(map(is_resolved, proxies))


@pytest.mark.parametrize("call", ["get", "exists", "wait", "get_batch", "stat", "aget"])
def test_a_proxy_of_a_key_is_one(store, call):
    key = store.put("x")
    plain = Proxy(lambda: key)
    psk.resolve(plain)
    for proxy in (plain, store.proxy(key), store.proxy(key, populate_target=False)):
        assert CALLS[call](store, proxy)
