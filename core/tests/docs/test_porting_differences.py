"""Differences from ProxyStore that docs/porting.md describes. Each test is named in one of its tables."""

import cmath
import inspect
import json
import math
import operator
import pickle
import subprocess
import sys
import time
import weakref

import pytest

import psk
from psk import FileConnector, LocalConnector, Proxy, Store, StoreConfig, get_key, get_store
from psk.connectors.multi import MultiConnector, Policy
from psk.errors import (
    ConnectorConfigError,
    PayloadError,
    ProxyLockedError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    PskError,
    SerializationError,
    StoreClosedError,
    StoreExistsError,
    UnknownConnectorError,
)
from psk.proxy import ProxyLocker
from psk.store import restore_proxy
from psk.wire import Payload, Reference, new_object_id


@pytest.fixture
def store():
    with Store("difference", LocalConnector()) as opened:
        yield opened
        opened.clear()


@pytest.fixture
def files(tmp_path):
    with Store("files", FileConnector(tmp_path / "objects")) as opened:
        yield opened
    psk.store.close_opened_stores()


def run(program, *arguments):
    """Run a program in another interpreter and give what it prints."""
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_store_is_rebuilt_in_another_process(files):
    travelled = pickle.dumps((files, files.put([1, 2]), files.proxy([3, 4]))).hex()
    program = "import pickle, sys; s, k, p = pickle.loads(bytes.fromhex(sys.argv[1])); print(s.get(k) + p)"
    assert run(program, travelled) == "[1, 2, 3, 4]"


def test_a_store_over_several_channels_is_rebuilt_in_another_process(tmp_path):
    small, large = FileConnector(tmp_path / "small"), FileConnector(tmp_path / "large")
    connector = MultiConnector({"small": (small, Policy(1, max_size_bytes=1000)), "large": large})
    program = "import pickle, sys; s, p, q = pickle.loads(bytes.fromhex(sys.argv[1])); print(len(p) + len(q), s.put(0))"
    with Store("several", connector) as store:
        proxies = store.proxy("x"), store.proxy("x" * 5000)
        total, key = run(program, pickle.dumps((store, *proxies)).hex()).split()
        assert [get_key(proxy)[33:] for proxy in proxies] == ["small", "large"]
        assert total == "5001"
        assert key.endswith("@small")
        assert store.get(key) == 0


def test_every_wait_has_a_finite_default(store):
    from psk.connectors import DEFAULT_TIMEOUT
    from psk.store.channel import WAIT_SECONDS

    assert 0 < DEFAULT_TIMEOUT < math.inf
    assert 0 < WAIT_SECONDS < math.inf
    with pytest.raises(TimeoutError):
        store.wait(new_object_id().hex(), timeout=0.01)


def test_errors_say_what_failed_and_what_to_do(files):
    key = files.put([1])
    proxy = files.proxy_from_key(key)
    files.evict(key)
    with pytest.raises(LookupError) as caught:
        proxy.append(2)
    assert isinstance(caught.value, PskError)
    assert all(part in str(caught.value) for part in (key, files.name, files.uri))
    assert caught.value.remedy


def test_size_is_known_before_the_first_byte_moves():
    payload = Payload.build("bytes", [b"x" * 1000])
    assert payload.nbytes == sum(memoryview(part).nbytes for part in payload.buffers())


def test_a_missing_connector_is_named_by_its_scheme():
    reference = Reference("s3://bucket/run-7", new_object_id().hex())
    proxy = restore_proxy(reference.uri, reference.to_bytes())
    remedy = "needs a connector for 's3', and none is installed here; install the distribution that provides it"
    with pytest.raises(ProxyResolveError, match=remedy) as caught:
        len(proxy)
    assert isinstance(caught.value.cause, UnknownConnectorError)
    assert reference.key in str(caught.value)
    assert reference.uri in str(caught.value)


def test_metrics_are_in_seconds():
    with Store("measured", LocalConnector(), metrics=True) as store:
        proxy = store.proxy(list(range(100)), populate_target=False)
        start = time.perf_counter()
        psk.resolve(proxy)
        longest = time.perf_counter() - start
        measured = store.metrics.as_dict()["times"]["factory.resolve"]["max_s"]
        store.clear()
    assert 0 < measured <= longest


def test_a_key_cached_twice_is_held_once():
    with Store("cached", LocalConnector(), cache_size=2, cache="objects") as store:
        keys = [store.put([number]) for number in range(4)]
        cache = store._reader.cache
        for _ in range(2):
            payload = Payload.parse(store.connector.get(keys[0]))
            cache.keep_object(keys[0], [0], payload)
        assert len(cache.entries) == 1
        assert [store.get(key) for key in keys * 2] == [[0], [1], [2], [3]] * 2
        assert len(cache.entries) == 2
        store.clear()


def fail_if(condition):
    if condition:
        raise ZeroDivisionError


def test_registration_ends_with_its_block_after_an_error(store):
    with pytest.raises(ZeroDivisionError), psk.store_registration(store):
        fail_if(get_store("difference") is store)
    assert get_store("difference") is None


def test_a_time_to_live_does_not_keep_the_interpreter_alive():
    start = time.monotonic()
    run("from psk import LocalConnector, Store; Store('s', LocalConnector()).put([1], ttl=60)")
    assert time.monotonic() - start < 30


def test_evict_works_in_the_producer_too(store):
    proxy = store.proxy([1, 2, 3], evict=True)
    key = get_key(proxy)
    assert store.exists(key)
    assert proxy == [1, 2, 3]
    assert not store.exists(key)


def test_two_proxies_of_one_key_share_nothing(store):
    key = store.put([1])
    first, second = store.proxy_from_key(key), store.proxy_from_key(key)
    first.append(2)
    assert (first, second, store.get(key)) == ([1, 2], [1], [1])


def test_a_deserializer_is_used_although_the_object_is_cached(store):
    key = store.put(b"text")
    assert store.get(key) == b"text"
    assert store.is_cached(key)
    assert store.get(key, deserializer=lambda encoded: encoded.decode().upper()) == "TEXT"


def test_none_is_an_object(store):
    assert store.get(store.put(None), default="missing") is None


def test_operations_that_proxystore_lacks(store):
    number, wave, text = (store.proxy(obj, populate_target=False) for obj in (2.718, 1j, "abc"))
    assert round(number, 2) == 2.72
    assert f"{number:.1f}" == "2.7"
    assert math.trunc(number) == 2
    assert complex(wave) == 1j
    assert cmath.phase(wave) == cmath.phase(1j)
    assert operator.length_hint(text) == 3
    assert weakref.ref(text)() is text
    match number:
        case float():
            pass
        case _:
            pytest.fail("a proxy of a float is no float")
    if sys.version_info >= (3, 12):
        assert bytes(memoryview(store.proxy(b"abc", populate_target=False))) == b"abc"


def test_c_code_that_refuses_a_proxy_takes_its_target(store):
    words = store.proxy(["a", "b"], populate_target=False)
    with pytest.raises(TypeError):
        json.dumps(words)
    assert json.dumps(words, default=psk.extract) == '["a", "b"]'
    assert "".join(psk.extract(words)) == "ab"


def test_a_proxy_is_populated_by_default(store):
    assert inspect.signature(Store).parameters["populate_target"].default is True
    assert StoreConfig("name", store.uri).populate_target is True
    assert psk.is_resolved(store.proxy([1]))


def test_closing_deletes_nothing(tmp_path):
    with Store("first", FileConnector(tmp_path / "objects")) as store:
        key = store.put("kept")
    assert [path.name for path in (tmp_path / "objects").iterdir()] == [key]
    with Store("second", FileConnector(tmp_path / "objects")) as store:
        assert store.get(key) == "kept"


def test_two_stores_of_one_name_are_never_confused(tmp_path):
    with Store("same", FileConnector(tmp_path / "there")) as there:
        travelled = pickle.dumps(there.proxy(["there"]))
    with Store("same", FileConnector(tmp_path / "here"), register=True):
        arrived = pickle.loads(travelled)
        assert isinstance(arrived, Proxy)
        assert arrived == ["there"]
    psk.store.close_opened_stores()


@pytest.mark.parametrize(("old", "more"), [(1, 1), ("a", "b"), ((1,), (2,))])
def test_an_operator_in_place_gives_the_new_value_of_an_immutable(store, old, more):
    proxy = kept = store.proxy(old)
    proxy += more
    assert (type(proxy), proxy) == (type(old), old + more)
    assert kept == old


def test_a_target_that_changes_in_place_keeps_its_proxy(store):
    proxy = kept = store.proxy([1])
    proxy += [2]
    assert proxy is kept
    assert kept == [1, 2]


def test_the_exact_type_of_a_proxy_is_not_fixed(store):
    proxy = store.proxy([1], populate_target=False)
    before = type(proxy)
    assert (len(proxy), len(proxy)) == (1, 1)
    assert type(proxy) is not before
    assert issubclass(before, Proxy)
    assert issubclass(type(proxy), Proxy)
    assert type(proxy) is not Proxy


def test_a_subclass_adds_special_methods_and_no_others():
    class Labelled(Proxy):
        label = "a label"
        __proxy_label__ = "its own"

        def __len__(self):
            return 99

    proxy = Labelled(lambda: [1])
    assert (len(proxy), len(proxy)) == (99, 99)
    assert issubclass(type(proxy), Labelled)
    assert proxy.__proxy_label__ == "its own"
    with pytest.raises(AttributeError, match="'list' object has no attribute 'label'"):
        _ = proxy.label


def test_an_error_of_a_serializer_has_one_class(store):
    def fail(_):
        raise KeyError

    for serializer, cause in ((fail, KeyError), (lambda _: 5, TypeError)):
        with pytest.raises(SerializationError) as caught:
            store.put(1, serializer=serializer)
        assert isinstance(caught.value.__cause__, cause)
    with pytest.raises(PayloadError) as caught:
        store.get(store.put(1), deserializer=fail)
    assert isinstance(caught.value.__cause__, KeyError)
    assert isinstance(caught.value, SerializationError)


def test_a_store_may_be_registered_twice():
    with Store("twice", LocalConnector()) as store, Store("twice", LocalConnector()) as other:
        psk.register_store(store)
        psk.register_store(store)
        with pytest.raises(StoreExistsError):
            psk.register_store(other)
        assert get_store("twice") is store


def test_a_policy_judges_object_and_host_apart():
    elsewhere = Policy(host_pattern="no-such-host")
    assert elsewhere.is_valid(size_bytes=1)
    assert not elsewhere.is_valid_on_host()
    connector = MultiConnector({"far": (LocalConnector(), elsewhere), "near": LocalConnector()})
    with Store("somewhere", connector) as store:
        assert store.put(1).endswith("@near")
    with pytest.raises(ConnectorConfigError):
        Policy(host_pattern=[])


def test_a_closed_store_refuses_and_its_proxies_do_not(tmp_path):
    store = Store("closed", FileConnector(tmp_path / "objects"), register=True)
    key, proxy = store.put([1]), store.proxy([2], populate_target=False)
    store.close()
    assert get_store("closed") is None
    for use in (lambda: store.put(1), lambda: store.get(key), lambda: store.exists(key), lambda: store.evict(key)):
        with pytest.raises(StoreClosedError):
            use()
    assert proxy == [2]
    psk.store.close_opened_stores()


@pytest.mark.parametrize("name", ["A", "a_b", "a.b", "a b", "", "x" * 17])
def test_names_of_channels_are_short_and_plain(name):
    with pytest.raises(ConnectorConfigError):
        MultiConnector({name: LocalConnector()})
    MultiConnector({"x" * 16: LocalConnector(), "a-1": LocalConnector()}).close()


def test_a_locker_holds_its_proxy_and_nothing_else(store):
    proxy = store.proxy([1], populate_target=False)
    locker = ProxyLocker(proxy)
    with pytest.raises(AttributeError):
        locker.note = "mine"
    with pytest.raises(TypeError):
        weakref.ref(locker)
    with pytest.raises(ProxyLockedError):
        _ = locker._proxy
    assert "ProxyLocker" in repr(locker)
    assert not psk.is_resolved(proxy)
    assert locker.unlock() is proxy


def test_a_missing_object_has_an_error_of_its_own(store):
    proxy = store.proxy([1], populate_target=False)
    store.evict(get_key(proxy))
    with pytest.raises(ProxyResolveError) as caught:
        len(proxy)
    assert isinstance(caught.value, ProxyResolveMissingKeyError)
