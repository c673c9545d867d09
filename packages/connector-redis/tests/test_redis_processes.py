"""Threads, processes and forked children share a store without losing, mixing or leaking anything."""

import gc
import os
import pickle
import random
import signal
import threading
import traceback

import pytest
from usage import eventually, opened, value_of

from psk import Store
from psk.errors import ConnectorClosedError
from psk.wire import encode
from psk_connector_redis.connection import Connection

CONNECTIONS = 8


@pytest.fixture
def connector(uri):
    """A connector to an empty channel."""
    new = opened(uri)
    yield new
    new.clear()
    new.close()


@pytest.fixture
def connected(redis_server):
    """Give the ids of the connections that others have at the server."""
    client = redis_server.client()
    own = client.client_id()
    yield lambda: {entry["id"] for entry in client.client_list() if int(entry["id"]) != own}
    client.close()


def in_processes(work, count):
    """Start forked processes that each run `work(number)`; return what collects their answers."""
    children = []
    for number in range(count):
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                answer = (True, work(number))
            except BaseException:  # noqa: BLE001  shown by the parent
                answer = (False, traceback.format_exc())
            with os.fdopen(write, "wb") as pipe:
                pickle.dump(answer, pipe)
            os._exit(0)
        os.close(write)
        children.append((pid, read))

    def collect():
        answers = []
        for pid, read in children:
            with os.fdopen(read, "rb") as pipe:
                answers.append(pickle.load(pipe))
            os.waitpid(pid, 0)
        failures = [text for ok, text in answers if not ok]
        assert not failures, failures[0]
        return [answer for _, answer in answers]

    return collect


def in_threads(work, count):
    """Run `work(number)` in threads; return what each returned or raised."""
    results = [None] * count

    def run(number):
        try:
            results[number] = work(number)
        except Exception:  # noqa: BLE001  shown by the caller
            results[number] = traceback.format_exc()

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


def content(name, step):
    """Make a value that says whose it is, short or long."""
    return (name, step, bytes([step % 256]) * (10, 1000, 50_000, 200_000)[step % 4])


def use(store, name, steps, seed):
    """Put, get, check, wait for and evict objects; list what was wrong."""
    chance = random.Random(f"{seed} {name}")
    own, wrong = {}, []
    for step in range(steps):
        value = content(name, step)
        key = store.put(value, ttl=chance.choice([None, 1000]))
        own[key] = value
        asked = chance.choice(list(own))
        if store.get(asked) != own[asked]:
            wrong.append(("mixed up or lost", asked))
        if store.wait([asked, key], timeout=30) != ([asked, key] if asked != key else [key, key]):
            wrong.append(("not found", asked))
        if chance.random() < 0.5:
            evicted = chance.choice(list(own))
            store.evict(evicted)
            del own[evicted]
            if store.exists(evicted):
                wrong.append(("not gone", evicted))
    return wrong, list(own)


def test_64_threads_and_16_processes_share_a_store(redis_server, prefix, connected, scale, seed):
    steps = scale("redis.mixed_operations")
    uri = f"{redis_server.uri}?connections={CONNECTIONS}&prefix={prefix}"
    before = connected()

    def in_process(number):
        with Store("shared", uri, cache_size=0) as store:
            answers = in_threads(lambda thread: use(store, f"process {number}, {thread}", steps, seed), 4)
            return answers, len(list(store.connector.keys()))

    collect = in_processes(in_process, 16)
    with Store("shared", uri, cache_size=0) as store:
        answers = in_threads(lambda number: use(store, f"thread {number}", steps, seed), 64)
        open_at_once = len(connected() - before)
        answers += [answer for several, _ in collect() for answer in several]
        assert [answer for answer in answers if not isinstance(answer, tuple)] == []
        assert [wrong for wrong, _ in answers if wrong] == []
        kept = {key for _, own in answers for key in own}
        assert set(store.connector.keys()) == kept
        for _, own in answers:
            for key in own[:1]:
                assert store.get(key) is not None
        assert store.connector.clear() == len(kept)
    assert open_at_once <= 17 * (CONNECTIONS + 1)
    assert eventually(lambda: connected() <= before)


@pytest.mark.parametrize(
    ("bug", "finding"), [("get", "mixed up or lost"), ("wait", "not found"), ("evict", "not gone")]
)
def test_the_check_sees_what_it_looks_for(uri, monkeypatch, bug, finding):
    with Store("shared", uri, cache_size=0) as store:
        right, wrong = getattr(store, bug), {"get": lambda _: "another", "wait": lambda *_, **__: [], "evict": len}[bug]
        calls = []

        def sometimes(*arguments, **options):
            calls.append(arguments)
            return (wrong if len(calls) % 3 == 0 else right)(*arguments, **options)

        monkeypatch.setattr(store, bug, sometimes)
        found, _ = use(store, "watched", 30, 1)
        assert {what for what, _ in found} == {finding}
        monkeypatch.undo()
        store.connector.clear()


def test_forked_children_have_connections_of_their_own(connector, connected, scale):
    kept = connector.put(encode("from the parent"))
    mine = connected()
    for number in range(scale("redis.forks")):

        def child(_, number=number):
            assert value_of(connector.get(kept)) == "from the parent"
            key = connector.put(encode(number))
            assert connector.wait([key], timeout=10) == [key]
            connector.close()
            return key

        [key] = in_processes(child, 1)()
        assert value_of(connector.get(key)) == number
        connector.evict(key)
    assert eventually(lambda: connected() == mine), "the parent's connections were disturbed, or children's stayed"


def test_forks_in_the_midst_of_other_threads_calls_hang_nobody(connector, scale):
    stop, wrong = threading.Event(), []
    objects = [connector.put(encode(bytes([size]) * size)) for size in (10, 100, 200)]
    large = connector.put(encode(b"x" * 2_000_000))

    def busy():
        while not stop.is_set():
            for size, key in zip((10, 100, 200), objects, strict=True):
                if value_of(connector.get(key)) != bytes([size]) * size:
                    wrong.append(key)
            connector.evict(connector.put(encode(1)))
            if len(value_of(connector.get(large))) != 2_000_000:
                wrong.append(large)

    def child(number):
        signal.alarm(60)
        assert len(value_of(connector.get(large))) == 2_000_000
        assert value_of(connector.get(objects[1])) == b"d" * 100
        return connector.put(encode(number))

    threads = [threading.Thread(target=busy) for _ in range(6)]
    for thread in threads:
        thread.start()
    try:
        keys = [key for _ in range(scale("redis.forks") // 4) for key in in_processes(child, 4)()]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert wrong == []
    assert connector.exists_batch(keys) == [True] * len(keys)


def test_opening_and_closing_leaves_nothing(uri, connected, scale):
    before = connected()
    for number in range(scale("redis.open_close")):
        one = opened(uri)
        key = one.put(encode(number))
        one.wait([key, "0" * 32], timeout=5)
        one.evict(key)
        if number % 2:
            one.close()
            one.close()
            with pytest.raises(ConnectorClosedError):
                one.get(key)
        del one
    gc.collect()
    assert eventually(lambda: connected() == before)


def test_no_more_connections_than_allowed(redis_server, prefix, connected):
    before = connected()
    connector = opened(f"{redis_server.uri}?connections=3&prefix={prefix}")
    key = connector.put(encode(b"x" * 300_000))
    stop = threading.Event()

    def busy(_):
        while not stop.is_set():
            connector.get(key)

    watching = threading.Thread(target=in_threads, args=(busy, 20))
    watching.start()
    counts = [len(connected() - before) for _ in range(50)]
    stop.set()
    watching.join()
    assert 1 <= max(counts) <= 3
    connector.clear()
    connector.close()


@pytest.mark.parametrize("error", [MemoryError, KeyboardInterrupt])
def test_a_call_broken_off_in_the_middle_spoils_no_connection(connector, monkeypatch, error):
    large, small = connector.put(encode(b"x" * 3_000_000)), connector.put(encode("small"))

    def break_off(*_):
        raise error

    for _ in range(5):
        with monkeypatch.context() as patched:
            patched.setattr(Connection, "_receive_rest", break_off)
            with pytest.raises(error):
                connector.get(large)
        assert value_of(connector.get(small)) == "small"
    assert len(value_of(connector.get(large))) == 3_000_000
