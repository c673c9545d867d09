"""The globals in psk's pickles are pinned: a pickle outlives the arrangement of the modules that wrote it."""

import concurrent.futures
import pickle
import pickletools
from importlib import import_module

import pytest
from servers import MissingServerError, RedisServer

import psk
from psk.proxy import ProxyLocker
from psk.wire import codec_for

#: What appears in pickles, as `module name`. A line may be added. Once a version is released, changing or removing a
#: line makes pickles and stored objects of that version unreadable.
CORE = """
psk.connectors.file FileConnector
psk.connectors.local LocalConnector
psk.connectors.multi MultiConnector
psk.connectors.shm ShmConnector
psk.proxy Proxy
psk.proxy ProxyLocker
psk.proxy rebuild_proxy
psk.store restore_factory
psk.store restore_proxy
psk.store StoreConfig
psk.store restore_store
"""
ARRAYS = """
psk.arrays.numpy rebuild_array
psk.arrays.numpy rebuild_masked
psk.arrays.numpy rebuild_view
psk.arrays.polars rebuild_frame
psk.arrays.polars rebuild_series
psk.arrays.torch rebuild_tensor
"""
REDIS = """
psk_connector_redis RedisConnector
"""
PATTERNS = """
psk_patterns ProxyAlways
psk_patterns ProxyNever
psk_patterns ProxySize
psk_patterns ProxyType
psk_patterns.executor PackedResult
psk_patterns.executor Task
psk_patterns.executor call_each
psk_patterns.executor restore_settings
psk_patterns.futures restore_future
psk_patterns.futures FutureFactory
psk_patterns.ownership restore_borrowed
psk_patterns.ownership restore_owned
"""

#: The documented modules that pickles may name: they stay where they are, however the modules inside them move.
PUBLIC = {
    *("psk.proxy", "psk.store", "psk.arrays.numpy", "psk.arrays.polars", "psk.arrays.torch"),
    *(
        "psk.connectors.file",
        "psk.connectors.local",
        "psk.connectors.multi",
        "psk.connectors.shm",
        "psk_connector_redis",
    ),
    *("psk_patterns", "psk_patterns.executor", "psk_patterns.futures", "psk_patterns.ownership"),
}


def globals_in(pickled):
    """Give the `module name` of each global that a pickle, or a pickle inside of it, asks for."""
    found, texts, memo, last = set(), [], [], None
    for opcode, given, _ in pickletools.genops(pickled):
        if opcode.name == "MEMOIZE":
            memo.append(last)
            continue
        argument = memo[given] if opcode.name in {"BINGET", "LONG_BINGET"} else given
        if opcode.name == "STACK_GLOBAL":
            found.add(" ".join(texts[-2:]))
        elif isinstance(argument, bytes) and argument[:1] == pickle.PROTO:
            found |= globals_in(argument)
        last = argument if isinstance(argument, str) else None
        if last is not None:
            texts.append(last)
    return found


def ours(pickles):
    """Give those globals of pickles that are psk's, as in the lists above."""
    found = set().union(*map(globals_in, pickles))
    return {name for name in found if name.startswith("psk")}


def pickles_of(*objects):
    return [pickle.dumps(each, protocol=5) for each in objects]


def pinned(names):
    return set(names.strip().splitlines())


class Special(psk.Proxy):
    """A user's own class of proxies."""


def double(items):
    return items * 2


class Recorder(concurrent.futures.Executor):
    """Run tasks here, by way of the pickles that an engine would send."""

    def __init__(self):
        self.pickles = []

    def submit(self, function, /, *args, **kwargs):
        self.pickles += pickles_of((function, args, kwargs))
        function, args, kwargs = pickle.loads(self.pickles[-1])
        self.pickles += pickles_of(function(*args, **kwargs))
        future = concurrent.futures.Future()
        future.set_result(pickle.loads(self.pickles[-1]))
        return future


def test_what_the_core_pickles(tmp_path):
    plain = psk.Proxy(list)
    with psk.Store.from_uri(f"file://{tmp_path}/objects", name="pickled names", register=True) as store:
        proxy = store.proxy([1, 2])
        connectors = [
            psk.FileConnector(str(tmp_path / "files")),
            psk.LocalConnector(),
            psk.ShmConnector(),
            psk.MultiConnector({"file": f"file://{tmp_path}/several"}),
        ]
        pickles = pickles_of(
            *(plain, psk.Proxy(list, target=[1], cache_defaults=True), Special(list), ProxyLocker(plain), type(plain)),
            *(proxy, psk.get_factory(proxy), store, psk.StoreConfig("config", "local://"), *connectors),
        )
        for connector in connectors:
            connector.close()
        assert ours(pickles) == pinned(CORE)


@pytest.fixture(scope="module")
def frame():
    """A frame of polars, whose threads keep descriptors from their first work on: before the check for leaks."""
    made = pytest.importorskip("polars").DataFrame({"a": range(100_000)})
    codec_for([made]).encode([made])
    return made


def test_what_payloads_of_arrays_hold(frame):
    numpy = pytest.importorskip("numpy")
    torch = pytest.importorskip("torch")
    masked = numpy.ma.array(numpy.ones(5000), mask=numpy.zeros(5000, bool))
    arrays = numpy.ones(5000), masked, numpy.ones((70, 70)).view(numpy.matrix), torch.ones(5000)
    objects = [*arrays, frame, frame["a"]]
    assert ours([b"".join(codec_for(objects).encode(objects)[0])]) == pinned(ARRAYS)


def test_what_the_connector_for_redis_pickles(tmp_path):
    try:
        server = RedisServer(tmp_path)
    except MissingServerError as error:
        pytest.skip(str(error))
    with server, psk.Store.from_uri(server.uri) as store:
        assert ours(pickles_of(store.connector)) == pinned(REDIS)


def test_what_patterns_pickle(tmp_path):
    import psk_patterns as patterns

    policies = [
        *(patterns.ProxyAlways(), patterns.ProxyNever(), patterns.ProxySize(10), patterns.ProxyType(list)),
        *(patterns.ProxySize(10) & patterns.ProxyAlways(), patterns.ProxySize(10) | double, ~patterns.ProxyNever()),
    ]
    with psk.Store.from_uri(f"file://{tmp_path}/objects", name="pickled names", register=True) as store:
        future = patterns.future(store)
        pickles = pickles_of(future, future.proxy(), *policies)
        future.set_exception(ValueError("the future failed"))
        owner = patterns.owned_proxy(store, [1])
        borrowed = patterns.borrow(owner)
        pickles += pickles_of(borrowed)
        patterns.mark_refs_out_of_scope(borrowed)
        mutable = patterns.mut_borrow(owner)
        pickles += pickles_of(mutable)
        patterns.mark_refs_out_of_scope(mutable)
        pickles += pickles_of(owner)
        patterns.release(pickle.loads(pickles[-1]))
        recorder = Recorder()
        with patterns.StoreExecutor(recorder, store, patterns.ProxySize(10)) as executor:
            assert executor.submit(double, [1] * 100).result() == [1] * 200
            assert list(executor.map(double, [[1] * 100] * 4, chunksize=2)) == [[1] * 200] * 4
        assert ours(pickles + recorder.pickles) - pinned(CORE) == pinned(PATTERNS)


@pytest.mark.parametrize("line", [*pinned(CORE), *pinned(ARRAYS), *pinned(REDIS), *pinned(PATTERNS)])
def test_a_pickled_name_is_public_and_found_where_it_is_pinned(line):
    module, name = line.split()
    assert module in PUBLIC
    assert not name.startswith("_")
    found = getattr(import_module(module), name)
    assert (found.__module__, found.__qualname__) == (module, name)
