"""Await futures in coroutines that are cancelled or lose their loop."""

import asyncio
import pickle
import threading
import time

import pytest

from psk_patterns import future
from psk_patterns.errors import FutureCancelledError, FutureTimeoutError, ProducerDied


def away(obj):
    return pickle.loads(pickle.dumps(obj))


def test_a_coroutine_waits_for_results_and_errors(store, soon):
    async def main():
        made, failing, cancelled = (future(store) for _ in range(3))
        soon(0.05, made.set_result, [1])
        soon(0.1, failing.set_exception, KeyError("no"))
        soon(0.1, cancelled.cancel)
        # As coroutines: `gather` takes equal futures for one.
        ends = map(sole, (made, away(made), failing, cancelled))
        first, *others = await asyncio.gather(*ends, return_exceptions=True)
        assert first == others[0] == [1]
        assert first is not others[0]
        assert isinstance(others[1], KeyError)
        assert isinstance(others[2], FutureCancelledError)
        assert await made == [1]
        for each in (made, failing, cancelled):
            each.release()

    asyncio.run(main())
    assert store.list() == []


def test_many_coroutines_need_one_thread(store, scale):
    async def main():
        futures = [future(store) for _ in range(min(scale("patterns_futures.many"), 500))]
        waiting = [asyncio.ensure_future(sole(made)) for made in futures]
        await asyncio.sleep(0.05)
        producer = threading.Thread(target=lambda: [made.set_result(n) for n, made in enumerate(futures)])
        producer.start()
        assert await asyncio.gather(*waiting) == list(range(len(futures)))
        producer.join()
        for made in futures:
            made.release()

    asyncio.run(main())
    assert store.list() == []


async def sole(made):
    return await made


def test_the_loop_goes_on_meanwhile(file_store, soon):
    async def main():
        made, longest, last = future(file_store), 0.0, time.monotonic()
        waiting = asyncio.ensure_future(sole(made))
        soon(0.3, made.set_result, 1)
        while not waiting.done():
            await asyncio.sleep(0.001)
            longest, last = max(longest, time.monotonic() - last), time.monotonic()
        assert longest < 0.25
        made.release()

    asyncio.run(main())


def test_a_cancelled_task_leaves_the_future_alone(store):
    async def main():
        made = future(store)
        waiting = asyncio.ensure_future(sole(made))
        await asyncio.sleep(0.05)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sole(made), 0.05)
        assert not made.done()
        made.set_result(1)
        assert await made == 1
        made.release()

    asyncio.run(main())
    assert store.list() == []


def test_a_task_cancelled_at_any_moment_leaves_nothing_behind(file_store):
    async def main():
        made = future(file_store)
        for turns in range(30):
            waiting = asyncio.ensure_future(sole(made))
            for _ in range(turns):
                await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
        made.release()

    asyncio.run(main())
    end = time.monotonic() + 5
    while any(thread.name == "psk-futures" for thread in threading.enumerate()):
        assert time.monotonic() < end
        time.sleep(0.01)


def test_a_loop_that_was_closed_meanwhile_hurts_nobody(file_store):
    made, called = future(file_store), []
    made.add_done_callback(called.append)
    loop = asyncio.new_event_loop()
    waiting = loop.create_task(sole(made))
    loop.run_until_complete(asyncio.sleep(0.05))
    waiting.cancel()
    loop.close()  # with the task in it
    made.set_result(1)
    end = time.monotonic() + 10
    while not called and time.monotonic() < end:
        time.sleep(0.005)
    assert called
    made.release()
    waiting._log_destroy_pending = False


def test_a_coroutine_hears_of_death_and_time(file_store):
    async def main():
        made = future(file_store, ttl=0.4, timeout=5)
        copy, never = away(made), future(file_store, timeout=0.2)
        made.claim()
        del made
        with pytest.raises(FutureTimeoutError, match="no process has claimed"):
            await never
        with pytest.raises(ProducerDied):
            await copy
        never.release()
        copy.release()

    asyncio.run(main())
    assert file_store.list() == []
