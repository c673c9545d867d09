"""Every way of putting and getting leaves the same in the metrics of a store, and with observers."""

import asyncio
import pickle
from contextvars import copy_context
from types import SimpleNamespace, coroutine

import pytest

import psk
from psk import Store, get_key
from psk.connectors import SupportsSwap, SupportsTake
from psk.errors import SerializationError
from psk.store import events

OBJECT = b"x" * 1000


@pytest.fixture(params=["local", "file", "shm"])
def heard(request, tmp_path, monkeypatch):
    """A store with metrics, and the list of what an observer heard of it as (hook, key, bytes)."""
    told = []

    def hook(name):
        return lambda store, key, nbytes, seconds: told.append((name, key, nbytes)) if seconds > 0 else None

    hooks = SimpleNamespace(**{f"psk_after_{name}": hook(name) for name in ("put", "get", "evict", "resolve")})
    monkeypatch.setattr(events, "_observers", [(events.Observer("observer.test", hooks),)])
    monkeypatch.setattr("psk.store.store.is_mentioned", lambda word: word == b"observer.")
    monkeypatch.setattr("psk.background.IDLE_SECONDS", 0.01)  # the threads of asynchronous calls end with the test
    uri = f"file://{tmp_path}/objects" if request.param == "file" else f"{request.param}://"
    with Store("heard", uri, metrics=True, cache_size=0, register=True) as store:
        yield store, told
        store.clear()


def swap(store):
    key = store.reserve()
    store.connector.fulfil(key, store._encoder.encode("first", key=key))
    forget(store)
    store.swap(key, OBJECT, revision=1)
    return key


def fulfil(store):
    key = store.reserve()
    forget(store)
    store.fulfil(key, OBJECT)
    return key


#: Ways to put one object: the operation that is counted, and what does it and gives the key.
PUTS = {
    "put": ("store.put", lambda store: store.put(OBJECT)),
    "aput": ("store.put", lambda store: asyncio.run(store.aput(OBJECT))),
    "put_batch": ("store.put_batch", lambda store: store.put_batch([OBJECT])[0]),
    "proxy": ("store.proxy", lambda store: get_key(store.proxy(OBJECT))),
    "aproxy": ("store.proxy", lambda store: get_key(asyncio.run(store.aproxy(OBJECT)))),
    "proxy_batch": ("store.proxy_batch", lambda store: get_key(store.proxy_batch([OBJECT])[0])),
    "fulfil": ("store.fulfil", fulfil),
    "swap": ("store.swap", swap),
}


def resolve_elsewhere(store, key):
    return psk.extract(pickle.loads(pickle.dumps(store.proxy_from_key(key))))


#: Ways to get one object: the operation that is counted, the hook that hears of it, and what does it.
GETS = {
    "get": ("store.get", "get", lambda store, key: store.get(key)),
    "aget": ("store.get", "get", lambda store, key: asyncio.run(store.aget(key))),
    "get_batch": ("store.get_batch", "get", lambda store, key: store.get_batch([key])[0]),
    "take": ("store.take", "get", lambda store, key: store.take(key, "claim")),
    "resolve": ("factory.resolve", "resolve", lambda store, key: psk.extract(store.proxy_from_key(key))),
    "resolve of what arrived": ("factory.resolve", "resolve", resolve_elsewhere),
    "aresolve": ("factory.resolve", "resolve", lambda store, key: aresolve(store.proxy_from_key(key))),
}


def aresolve(proxy):
    async def work():
        return await psk.aresolve(proxy)

    return asyncio.run(work())


def forget(store):
    """Let metrics begin anew."""
    store.metrics.times.clear()
    store.metrics.nbytes.update(put=0, get=0)


def counts(store):
    return {operation: histogram.count for operation, histogram in store.metrics.times.items()}


@pytest.mark.parametrize("way", PUTS)
def test_each_way_of_putting_is_heard_of_alike(heard, way):
    store, told = heard
    operation, put = PUTS[way]
    if way == "swap" and not store.supports(SupportsSwap):
        pytest.skip("this channel cannot swap")
    key = put(store)
    assert counts(store) == {operation: 1, "store.serialize": 1, "connector.put": 1}
    size = store.stat(key).nbytes
    assert store.metrics.nbytes == {"put": size, "get": 0}
    assert told == [("put", key, size)]
    assert all(histogram.total > 0 for histogram in store.metrics.times.values())


@pytest.mark.parametrize("way", GETS)
def test_each_way_of_getting_is_heard_of_alike(heard, way):
    store, told = heard
    operation, hook, get = GETS[way]
    if way == "take" and not store.supports(SupportsTake):
        pytest.skip("this channel cannot take")
    key = store.put(OBJECT)
    size = store.stat(key).nbytes
    forget(store)
    told.clear()
    assert get(store, key) == OBJECT
    verified = {"store.verify": 1} if store.connector.leaves_host else {}
    assert counts(store) == {operation: 1, "connector.get": 1, **verified, "store.deserialize": 1}
    assert store.metrics.nbytes == {"put": 0, "get": size}
    assert told == [(hook, key, size)]


@pytest.mark.parametrize("way", ["wait", "await_key"])
def test_each_way_of_waiting_is_heard_of_alike(heard, way):
    store, told = heard
    key = store.put(OBJECT)
    forget(store)
    told.clear()
    assert store.wait(key) == [key] if way == "wait" else asyncio.run(store.await_key(key)) == key
    assert counts(store) == {"store.wait": 1}
    assert store.metrics.nbytes == {"put": 0, "get": 0}
    assert told == []


FAILURES = {
    "put": lambda store, obj: store.put(obj),
    "aput": lambda store, obj: asyncio.run(store.aput(obj)),
    "put_batch": lambda store, obj: store.put_batch([obj]),
}


@pytest.mark.parametrize("way", FAILURES)
def test_each_way_of_failing_is_counted_alike(heard, way):
    store, told = heard
    with pytest.raises(SerializationError):
        FAILURES[way](store, (n for n in ()))  # a generator cannot be pickled
    operation = "store.put_batch" if way == "put_batch" else "store.put"
    assert store.metrics.failures == {operation: 1, "store.serialize": 1}
    assert told == []


def test_what_is_missing_moves_nothing_and_is_not_resolved(heard):
    store, told = heard
    key = store.reserve()
    assert store.get(key) is None
    assert store.get_batch([key]) == [None]
    assert asyncio.run(store.aget(key)) is None
    with pytest.raises(psk.errors.ProxyResolveMissingKeyError):
        psk.resolve(store.proxy_from_key(key))
    assert told == [("get", key, 0)] * 3
    assert store.metrics.nbytes["get"] == 0


def test_a_batch_shares_its_time_among_its_objects(heard):
    store, told = heard
    keys = store.put_batch([OBJECT, OBJECT[:10], OBJECT])
    sizes = [store.stat(key).nbytes for key in keys]
    assert told == [("put", key, size) for key, size in zip(keys, sizes, strict=True)]
    assert store.metrics.nbytes["put"] == sum(sizes)


def test_a_coroutine_that_is_closed_in_another_context_ends_quietly(heard, monkeypatch):
    store, told = heard

    @coroutine
    def never(*_args, **_options):
        yield

    with monkeypatch.context() as patched:
        patched.setattr(store._channel, "_capabilities", frozenset({"SupportsAsync"}))
        patched.setattr(store._channel, "connector", SimpleNamespace(aget=never))
        waiting = store.aget("0" * 32)
        copy_context().run(waiting.send, None)
        waiting.close()
    assert told == []


def test_a_store_that_nobody_listens_to_has_no_events():
    with Store.from_uri("local://") as store:
        assert store._channel.events is None
