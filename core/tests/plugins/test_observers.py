"""Observers are told what a store does, once for each call."""

from contextlib import closing

import pytest

from faults.observer import HEARD
from psk.connectors import format_uri
from psk.connectors.multi import MultiConnector, Policy


def test_without_observers_nothing_is_wrapped_and_nothing_imported(site):
    site.add_theirs()
    program = """
        with psk.Store.from_uri("local://plain") as store:
            store.clear()
            say(sorted({"put", "get", "resolve_reference"} & vars(store).keys()))
        say(sorted({"psk.store.events", "pluggy", "importlib.metadata"} & set(sys.modules)))
    """
    assert site.run(program) == [[], []]


@pytest.mark.parametrize("uri", ["local://observed", "file://{place}", "multi"])
def test_each_operation_is_heard_of_once(observed, tmp_path, uri):
    if uri == "multi":
        both = {"small": (f"file://{tmp_path}/small", Policy(max_size_bytes=500)), "large": f"file://{tmp_path}/large"}
        with closing(MultiConnector(both)) as channels:
            uri = format_uri(channels.config())
    uri = uri.format(place=tmp_path / "objects")
    program = f"""
        {HEARD}
        with psk.Store({"s"!r}, {uri!r}, cache_size=0) as store:
            key = store.put(b"x" * 1000)
            say(heard())
            store.get(key); store.get(key="0" * 32); store.exists(key); store.evict(key)
            say(heard())
            keys = store.put_batch([b"a", b"b"])
            say(heard())
            store.get_batch(iter([*keys, "0" * 32])); store.evict_batch(iter(keys))
            say(heard())
            proxy = store.proxy([1], populate_target=False)
            many = store.proxy_batch([[1], [2]], populate_target=False)
            store.fulfil(store.reserve(), 5)
            say(heard())
            psk.resolve(proxy); len(many[0]); psk.resolve(proxy)
            say(heard())
            gone = store.proxy([1], evict=True)
            len(gone)
            say(heard())
            store.clear()
            say(heard())
    """
    put, get, batch_put, batches, proxies, resolves, evicting, clear = observed.run(program)
    assert put == [["put", "s", 0, True]]
    assert get == [["get", "s", 0, True], ["get", "s", 1, False], ["evict", "s", 0, False]]
    assert batch_put == [["put", "s", 0, True], ["put", "s", 1, True]]
    assert [event[:3] for event in batches] == [
        ["get", "s", 0],
        ["get", "s", 1],
        ["get", "s", 2],
        ["evict", "s", 0],
        ["evict", "s", 1],
    ]
    assert [event[3] for event in batches] == [True, True, False, False, False]
    assert proxies == [["put", "s", number, True] for number in range(4)]
    assert resolves == [["resolve", "s", 0, True], ["resolve", "s", 1, True]]
    assert sorted(event[0] for event in evicting) == ["evict", "put", "resolve"]
    assert clear == []


def test_bytes_are_those_of_the_payload_and_none_when_the_cache_served(observed, tmp_path):
    program = f"""
        import their_observer
        with psk.Store("s", "file://{tmp_path}/objects") as store:
            key = store.put(b"x" * 1000)
            size = store.stat(key).nbytes
            store.get(key); store.get(key)
            proxy = store.proxy_from_key(key)
            len(proxy)
        say([[event[0], event[3] == size, event[3] == 0] for event in their_observer.events])
    """
    assert observed.run(program) == [
        [["put", True, False], ["get", True, False], ["get", False, True], ["resolve", False, True]]
    ]


def test_asynchronous_calls_are_heard_of(observed):
    program = f"""
        {HEARD}
        async def main(store):
            key = await store.aput([1, 2])
            await store.aget(key)
            proxy = await store.aproxy([3], populate_target=False)
            await psk.aresolve(proxy)
            return heard()
        with psk.Store("s", "local://async") as store:
            say(asyncio.run(main(store)))
            store.clear()
    """
    assert observed.run(program) == [
        [["put", "s", 0, True], ["get", "s", 0, True], ["put", "s", 1, True], ["resolve", "s", 1, True]]
    ]


def test_channels_with_asynchronous_calls_of_their_own_are_heard_of(observed):
    program = f"""
        {HEARD}
        from psk.connectors.local import LocalConnector
        class Asynchronous(LocalConnector):
            async def aput(self, payload, **options): return self.put(payload, **options)
            async def aget(self, key, **options): return self.get(key, **options)
            async def aexists(self, key, **options): return self.exists(key, **options)
            async def aevict(self, key, **options): return self.evict(key, **options)
            async def await_key(self, keys, **options): return keys
        async def main(store):
            from psk.connectors import SupportsAsync
            key = await store.aput([1, 2])
            await store.aget(key)
            return [isinstance(store.connector, SupportsAsync), *heard()]
        with psk.Store("s", Asynchronous("async")) as store:
            say(asyncio.run(main(store)))
            store.clear()
    """
    supported, *events = observed.run(program)[0]
    assert supported
    assert events == [["put", "s", 0, True], ["get", "s", 0, True]]


def test_a_store_that_is_opened_for_a_proxy_is_observed_too(observed, tmp_path):
    program = f"""
        {HEARD}
        with psk.Store("s", "file://{tmp_path}/objects") as store:
            sent = pickle.dumps(store.proxy([1, 2]))
        heard()
        say(len(pickle.loads(sent)), heard())
        psk.store.close_opened_stores()
    """
    assert observed.run(program) == [[2, [["resolve", f"file://{tmp_path}/objects", 0, True]]]]


def test_what_happens_within_is_heard_of_by_itself(observed):
    program = f"""
        {HEARD}
        class Nested:
            def __reduce__(self):
                return list, ([inner.put([2])],)
        inner = psk.Store("inner", "local://inner")
        with psk.Store("outer", "local://outer") as store:
            store.put(Nested())
            say([event[:2] for event in heard()])
            store.clear()
        inner.clear()
    """
    assert observed.run(program) == [[["put", "inner"], ["put", "outer"]]]


def test_threads_and_forked_children_are_heard_of_each_for_itself(observed, tmp_path):
    program = f"""
        {HEARD}
        import os, threading
        with psk.Store("s", "file://{tmp_path}/objects") as store:
            threads = [threading.Thread(target=lambda: store.evict(store.put([1]))) for _ in range(20)]
            for thread in threads: thread.start()
            for thread in threads: thread.join()
            told = heard()
            say(sorted({{event[0] for event in told}}), len(told))
            child = os.fork()
            if child == 0:
                try: store.put_batch([1, 2, 3])
                finally: os._exit(len(heard()))
            say(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), heard())
            store.clear()
    """
    assert observed.run(program) == [[["evict", "put"], 40], [3, []]]
