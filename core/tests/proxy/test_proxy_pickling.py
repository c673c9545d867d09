"""A pickled proxy contains its factory and what is known of its target, never the target."""

import copyreg
import functools
import io
import multiprocessing
import pickle

import cloudpickle
import pytest

from psk.proxy import Proxy, extract, is_resolved, make_proxy
from psk.proxy.target import public_class


class Fetch:
    """A factory that can be pickled, whose target cannot."""

    def __init__(self, name="target"):
        self.name = name

    def __call__(self):
        return Unpicklable(self.name)


class Unpicklable:
    def __init__(self, name):
        self.name = name

    def __reduce_ex__(self, protocol):
        raise AssertionError("the target must not be pickled")


class Short(Fetch):
    def __reduce_proxy__(self):
        return restore, (self.name,)


def restore(name):
    return make_proxy(Short(name))


class Special(Proxy):
    """A subclass with state of its own."""

    __slots__ = ("__proxy_owner__",)


def fetch_one():
    return 1


def fetch_function():
    return lambda: 1


def proxy_in(state, factory, cls=Proxy):
    proxy = cls(factory)
    if state != "unresolved":
        assert proxy.name == "target"
    if state == "used":
        assert proxy.name == "target"
    return proxy


STATES = ["unresolved", "resolved", "used"]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("module", [pickle, cloudpickle])
def test_only_the_factory_travels(module, state, protocol):
    again = pickle.loads(module.dumps(proxy_in(state, Fetch()), protocol))
    assert public_class(again) is Proxy
    assert not is_resolved(again)
    assert again.name == "target"


@pytest.mark.parametrize("state", STATES)
def test_the_pure_python_pickler_agrees(state):
    buffer = io.BytesIO()
    pickle._Pickler(buffer).dump(proxy_in(state, Fetch()))
    assert not is_resolved(pickle.loads(buffer.getvalue()))


@pytest.mark.parametrize("state", STATES)
def test_a_factory_may_define_a_short_form(state):
    data = pickle.dumps(proxy_in(state, Short()))
    assert b"rebuild_proxy" not in data
    assert pickle.loads(data).name == "target"


@pytest.mark.parametrize("state", STATES)
def test_a_subclass_stays_a_subclass(state):
    again = pickle.loads(pickle.dumps(proxy_in(state, Short(), Special)))
    assert public_class(again) is Special


def test_pickling_does_not_resolve(counted):
    factory = counted([1])
    proxy = Proxy(factory)
    proxy.__reduce_ex__(5)
    proxy.__reduce__()
    assert factory.calls == 0


def test_cloudpickle_does_not_resolve_a_proxy_of_unknown_class():
    calls = []

    def factory():
        calls.append(1)
        return 1

    cloudpickle.dumps(Proxy(factory))
    assert not calls


def test_cloudpickle_takes_no_function_out_of_its_proxy():
    proxy = Proxy(fetch_function)
    assert proxy() + proxy() == 2
    again = pickle.loads(cloudpickle.dumps(proxy))
    assert public_class(again) is Proxy
    assert again() == 1


def test_the_class_of_a_used_proxy_can_be_pickled(proxy_of):
    for module in (pickle, cloudpickle):
        assert pickle.loads(module.dumps(type(proxy_of([1])))) is not None


def test_defaults_travel_where_they_hold_elsewhere():
    again = pickle.loads(pickle.dumps(make_proxy(fetch_one, int, 1)))
    assert isinstance(again, int)
    assert hash(again) == 1
    assert not is_resolved(again)


def test_the_hash_of_a_string_stays_in_its_process():
    again = pickle.loads(pickle.dumps(make_proxy(fetch_one, str, 12345)))
    assert isinstance(again, str)
    assert not is_resolved(again)
    assert hash(again) == hash(1)


def test_a_class_that_cannot_be_found_by_name_stays_behind():
    class Local:
        pass

    again = pickle.loads(pickle.dumps(make_proxy(fetch_one, Local)))
    assert again.__class__ is int


def test_a_pickler_with_its_own_table_works_if_it_begins_with_the_global_one():
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer)
    pickler.dispatch_table = copyreg.dispatch_table.copy()
    pickler.dump(proxy_in("used", Fetch()))
    assert not is_resolved(pickle.loads(buffer.getvalue()))


def test_proxies_inside_containers_share_their_identity():
    proxy = Proxy(fetch_one)
    first, second = pickle.loads(pickle.dumps([proxy, proxy]))
    assert first is second


def test_a_proxy_travels_to_another_process():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(extract, [Proxy(functools.partial(int, "12"))]) == 12
        assert public_class(pool.apply(Proxy, [list])) is Proxy
