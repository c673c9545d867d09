"""Use a store from asyncio without blocking the loop."""

import asyncio
import threading

import pytest

from psk import Store
from psk.background import MAX_THREADS
from psk.connectors.local import LocalConnector
from psk.errors import DeadlineError, SerializationError


def test_the_asynchronous_methods_do_what_the_others_do(store):
    async def work():
        key = await store.aput([1, 2])
        assert await store.aget(key) == [1, 2]
        assert await store.aget(key) == [1, 2]
        assert await store.aproxy("text") == "text"
        assert await store.await_key(key) == key
        store.evict(key)
        assert await store.aget(key, default="gone") == "gone"
        with pytest.raises(DeadlineError):
            await store.await_key(key, timeout=0.05)
        with pytest.raises(SerializationError):
            await store.aput(n for n in ())

    asyncio.run(work())


def test_the_loop_runs_on_while_a_slow_channel_works(tmp_path, monkeypatch):
    with Store("slow", f"file://{tmp_path}/objects") as store:
        key = store.put("x")
        get, go_on = type(store.connector).get, threading.Event()

        def slow_get(self, *args, **options):
            assert go_on.wait(10)
            return get(self, *args, **options)

        monkeypatch.setattr(type(store.connector), "get", slow_get)

        async def work():
            fetching = asyncio.ensure_future(store.aget(key))
            for _ in range(10):
                await asyncio.sleep(0.01)
            assert not fetching.done()
            go_on.set()
            assert await fetching == "x"

        asyncio.run(work())
        store.clear()


def test_a_store_works_synchronously_inside_a_running_loop(store):
    async def work():
        return store.get(store.put([1]))

    assert asyncio.run(work()) == [1]


def test_many_tasks_at_once(store):
    async def work():
        keys = await asyncio.gather(*(store.aput(n) for n in range(100)))
        return await asyncio.gather(*(store.aget(key) for key in keys))

    assert asyncio.run(work()) == list(range(100))


def test_the_local_channel_needs_no_thread_for_asyncio():
    import threading

    with Store("loop", LocalConnector()) as store:
        before = threading.active_count()

        async def work():
            return await store.aget(await store.aput([1]))

        assert asyncio.run(work()) == [1]
        assert threading.active_count() == before
        store.clear()


def test_many_waits_hold_up_nothing_else(store):
    async def work():
        keys = [store.reserve() for _ in range(MAX_THREADS + 20)]
        waits = [asyncio.ensure_future(store.await_key(key, timeout=20)) for key in keys]
        await asyncio.sleep(0.1)
        # What they wait for must not stand in the queue behind them.
        assert await asyncio.wait_for(store.aget(await store.aput([1])), 10) == [1]
        for key in keys:
            store.fulfil(key, key)
        return await asyncio.gather(*waits) == keys

    assert asyncio.run(work())
