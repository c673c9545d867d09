"""A proxy has the protocols of its target, as code sees them that asks the type."""

import array
import collections
import contextlib
import decimal
import io
import operator
import os
import pickle
import signal
import sys
import threading
import types
from collections import abc

import numpy as np
import pytest

from psk.proxy import Proxy, extract, is_resolved, make_proxy, protocols_of, resolve
from psk.proxy.forms import ALL, traits_of
from psk.proxy.target import write_target

try:
    import pandas as pd
except ImportError:  # an array library, which the tests on other Pythons do without
    pd = None


class Entered:
    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass


class Awaited:
    def __await__(self):
        yield


class Listening:
    def __aiter__(self):
        return self

    async def __anext__(self):
        raise StopAsyncIteration

    async def __aenter__(self):
        return self

    async def __aexit__(self, *error):
        pass


class OldSequence:
    def __getitem__(self, place):
        return [1, 2][place]


class NotIterable(list):
    __iter__ = None


TARGETS = {
    "int": 3,
    "float": 1.5,
    "complex": 1j,
    "list": [1],
    "tuple": (1, 2),
    "dict": {"a": 1},
    "set": {1},
    "range": range(3),
    "iterator": iter([1]),
    "generator": (n for n in [1]),
    "deque": collections.deque([1]),
    "function": len,
    "lambda": lambda: 1,
    "class": list,
    "module": types,
    "object": object(),
    "namespace": types.SimpleNamespace(),
    "decimal": decimal.Decimal(1),
    "mapping proxy": types.MappingProxyType({}),
    "user dict": collections.UserDict(),
    "user list": collections.UserList(),
    "lock": threading.Lock(),
    "stream": io.StringIO(),
    "entered": Entered(),
    "awaited": Awaited(),
    "listening": Listening(),
    "old sequence": OldSequence(),
    "not iterable": NotIterable(),
    "array": array.array("i", [1]),
    "ndarray": np.zeros(2),
    "number": np.float64(1),
}
if pd is not None:
    TARGETS |= {"frame": pd.DataFrame({"a": [1]}), "series": pd.Series([1])}
#: Text is also what `int`, `float` and `open` take, by its type; a proxy of it must have methods for that.
TEXTS = {"str": "a", "bytes": b"a", "bytearray": bytearray(b"a"), "memoryview": memoryview(b"a")}
ABSTRACT = [getattr(abc, name) for name in abc.__all__ if name != "ByteString"]
ABSTRACT += [contextlib.AbstractContextManager, contextlib.AbstractAsyncContextManager, os.PathLike]


def answers(value):
    """Tell what Python's own questions about protocols say of a value."""
    said = {kind.__name__: isinstance(value, kind) for kind in ABSTRACT}
    said["callable"] = callable(value)
    said["sequence"] = operator.is_sequence(value) if hasattr(operator, "is_sequence") else None
    if pd is not None:
        said["list-like"] = pd.api.types.is_list_like(value)
        said["iterator"] = pd.api.types.is_iterator(value)
        said["number"] = pd.api.types.is_number(value)
        said["hashable"] = pd.api.types.is_hashable(value)
    said["type"] = {name: getattr(type(value), name, None) is not None for name in SPECIAL}
    match value:
        case {}:
            said["pattern"] = "mapping"
        case [*_]:
            said["pattern"] = "sequence"
        case _:
            said["pattern"] = None
    return said


SPECIAL = ["__iter__", "__next__", "__len__", "__contains__", "__getitem__", "__reversed__", "__call__", "__index__"]
SPECIAL += ["__await__", "__aiter__", "__anext__", "__enter__", "__exit__", "__aenter__", "__aexit__"]
SPECIAL += ["__buffer__"] if sys.version_info >= (3, 12) else []


@pytest.mark.parametrize("state", ["resolved", "used", "preset"])
@pytest.mark.parametrize("kind", [*TARGETS, *TEXTS])
def test_a_resolved_proxy_has_the_protocols_of_its_target(kind, state):
    target = (TARGETS | TEXTS)[kind]
    proxy = Proxy(lambda: target, target=target if state == "preset" else None)
    if state != "preset":
        resolve(proxy)
    if state == "used":
        assert str(proxy.__class__) == str(proxy.__class__)
    expected = answers(target)
    if kind == "class":
        expected["type"]["__getitem__"] = True  # `p[int]`, which Python does for classes without a method
    if kind in {"str", "bytes"}:
        expected["PathLike"] = True
    # Here pandas looks at the type alone, for texts, classes and lists.
    if pd is not None:
        expected["list-like"] = (expected["list-like"] and kind != "not iterable") or kind in {"str", "bytes", "class"}
    assert answers(proxy) == expected


@pytest.mark.parametrize("kind", [*TARGETS, *TEXTS])
def test_an_unresolved_proxy_has_the_protocols_that_are_known(kind):
    target = (TARGETS | TEXTS)[kind]
    bits = protocols_of(target)
    by_class, by_number = make_proxy(lambda: target, type(target)), make_proxy(lambda: target, protocols=bits)
    for proxy in (by_class, by_number):
        assert callable(proxy) == callable(target)
        assert answers(target)["type"]["__iter__"] == (getattr(type(proxy), "__iter__", None) is not None)
        assert type(proxy).__flags__ >> 5 & 3 == type(target).__flags__ >> 5 & 3
        assert not is_resolved(proxy)
        resolve(proxy)
        assert type(proxy).__proxy_protocols__ == traits_of(type(target))[0]


def test_what_is_not_known_is_claimed_until_it_is():
    proxy = Proxy(lambda: 3)
    assert callable(proxy)
    assert type(proxy).__proxy_protocols__ == ALL
    resolve(proxy)
    assert not callable(proxy)


def test_a_missing_operation_names_the_type_of_the_target(proxy_of):
    proxy = proxy_of(3)
    with pytest.raises(TypeError, match="int' object is not callable"):
        proxy()
    with pytest.raises(TypeError, match="int' object is not iterable"):
        iter(proxy)
    assert type(proxy).__name__ == "Proxy"


def test_a_replaced_target_brings_its_own_protocols(proxy_of):
    proxy = proxy_of([1])
    for target in (len, {}, 3, iter([])):
        proxy.__proxy_wrapped__ = target
        for _ in range(3):
            assert callable(proxy) == callable(target)
            assert isinstance(proxy, type(target))
        assert answers(proxy) == answers(target)


def test_what_was_known_stays_known(proxy_of):
    proxy = proxy_of((1, 2))
    resolve(proxy)
    del proxy.__proxy_wrapped__
    assert isinstance(proxy, tuple)
    assert hash(proxy) == hash((1, 2))
    assert not callable(proxy)
    assert not is_resolved(proxy)
    assert proxy == (1, 2)


def give_dict():
    return {"a": 1}


def give_local():
    class Local:
        def __call__(self):
            return 1

    return Local()


@pytest.mark.parametrize("uses", [1, 2])
def test_what_was_known_travels(uses):
    proxy = Proxy(give_dict)
    for _ in range(uses):
        assert proxy["a"] == 1
    again = pickle.loads(pickle.dumps(proxy))
    assert isinstance(again, dict)
    assert not callable(again)
    assert not is_resolved(again)
    number = Proxy(int)
    resolve(number)
    assert hash(pickle.loads(pickle.dumps(number))) == 0


def test_protocols_travel_without_the_class():
    proxy = Proxy(give_local)
    resolve(proxy)
    again = pickle.loads(pickle.dumps(proxy))
    assert callable(again)
    assert not hasattr(type(again), "__iter__")
    assert not is_resolved(again)


class Silent(Proxy):
    """A subclass that forgets to call `super().__init__`."""

    def __init__(self, factory):
        pass


USES = [len, str, bool, iter, hash, callable, lambda p: p.name, lambda p: p + 1, lambda p: p(), lambda p: 1 + p]
USES += [lambda p: p == 1, extract, resolve, lambda p: isinstance(p, int), lambda p: setattr(p, "x", 1)]


@pytest.mark.parametrize("make", [lambda: Proxy.__new__(Proxy), lambda: Silent(list)])
@pytest.mark.parametrize("use", USES)
def test_a_proxy_without_a_factory_says_so(make, use):
    from psk.errors import ProxyResolveError

    proxy = make()
    assert "unresolved" in repr(proxy)
    assert "unresolved" in repr(pickle.loads(pickle.dumps(proxy)))
    if use is not callable:
        with pytest.raises(ProxyResolveError, match="made without a factory"):
            use(proxy)


def test_a_proxied_class_is_subscripted_and_not_iterated(proxy_of):
    proxy = proxy_of(list)
    assert proxy[int] == list[int]
    with pytest.raises(TypeError, match="is not iterable"):
        iter(proxy)
    with pytest.raises(TypeError):
        _ = 1 in proxy
    if is_resolved(proxy):
        assert not isinstance(proxy, abc.Iterable)
    members = proxy_of(signal.Signals)
    assert list(members) == list(signal.Signals)
    assert signal.SIGINT in members


def test_the_class_of_a_proxy_makes_proxies(proxy_of):
    proxy = type(proxy_of([1]))(lambda: {"a": 1})
    assert proxy["a"] == 1
    assert not isinstance(proxy, list)


def test_equal_sets_of_protocols_share_a_class():
    first, second = Proxy(lambda: [1]), Proxy(lambda: [2])
    resolve(first)
    resolve(second)
    assert type(first) is type(second)


def test_a_use_before_the_class_is_set_takes_the_right_one(fast_path):
    if not fast_path:
        pytest.skip("without the fast path a use leaves the form to whoever resolves the proxy")
    proxy = Proxy(list)
    write_target(proxy, [1])  # as if another thread, or an interrupt, had come in between
    for _ in range(2):
        assert proxy.count(1) == 1
    assert not callable(proxy)


def test_threads_that_resolve_and_replace_agree_in_the_end(scale):
    for _ in range(scale("proxy.races")):
        proxies = [Proxy(lambda: [1]) for _ in range(50)]
        barrier = threading.Barrier(3)

        def run(use, proxies=proxies, barrier=barrier):
            barrier.wait()
            for proxy in proxies:
                use(proxy)

        def replace(proxy):
            proxy.__proxy_wrapped__ = len

        threads = [
            threading.Thread(target=run, args=[use]) for use in (resolve, replace, lambda p: p.__doc__ and p.__doc__)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for proxy in proxies:
            assert callable(proxy) == callable(extract(proxy))
            assert proxy.__doc__ == extract(proxy).__doc__
