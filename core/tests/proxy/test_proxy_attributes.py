"""Attributes are read, set and deleted on the target."""

import types

import pytest

from psk.proxy import Proxy


class Thing:
    """A thing."""

    kind = "thing"

    def __init__(self):
        self.value = 1

    @property
    def doubled(self):
        return self.value * 2

    @doubled.setter
    def doubled(self, new):
        self.value = new // 2

    @property
    def broken(self):
        raise AttributeError("broken inside")


class Dynamic:
    def __getattr__(self, name):
        if name.startswith("x"):
            return name
        raise AttributeError(f"nothing called {name}")


def test_attributes_are_those_of_the_target(proxy_of):
    thing = Thing()
    proxy = proxy_of(thing)
    assert [proxy.value, proxy.kind, proxy.doubled] == [1, "thing", 2]
    proxy.value = 5
    proxy.fresh = "new"
    proxy.doubled = 12
    assert [thing.value, thing.fresh] == [6, "new"]
    del proxy.fresh
    assert not hasattr(thing, "fresh")
    assert not hasattr(proxy, "fresh")


def test_names_about_the_target_are_forwarded(proxy_of):
    thing = Thing()
    proxy = proxy_of(thing)
    assert proxy.__doc__ == "A thing."
    assert proxy.__module__ == Thing.__module__
    assert proxy.__dict__ is thing.__dict__
    assert vars(proxy) == {"value": 1}
    assert dir(proxy) == dir(thing)


def test_names_of_functions_and_classes_are_forwarded(proxy_of):
    assert proxy_of(len).__name__ == "len"
    assert proxy_of(Thing).__qualname__ == "Thing"
    assert proxy_of(types).__name__ == "types"
    assert proxy_of(types).FunctionType is types.FunctionType


@pytest.mark.parametrize("target", [Thing(), Dynamic(), 3, [], None, Thing])
def test_missing_attributes_raise_the_targets_error(proxy_of, target):
    proxy = proxy_of(target)
    with pytest.raises(AttributeError) as expected:
        _ = target.missing
    with pytest.raises(AttributeError) as got:
        _ = proxy.missing
    assert str(got.value) == str(expected.value)
    assert not hasattr(proxy, "missing")


def test_a_property_that_fails_raises_its_own_error(proxy_of):
    with pytest.raises(AttributeError, match="broken inside"):
        _ = proxy_of(Thing()).broken


def test_dynamic_attributes_work(proxy_of):
    assert proxy_of(Dynamic()).x1 == "x1"


def test_the_class_of_the_target_can_be_changed(proxy_of):
    class Other(Thing):
        pass

    thing = Thing()
    proxy = proxy_of(thing)
    proxy.__class__ = Other
    assert type(thing) is Other
    assert isinstance(proxy, Other)


def test_a_proxy_of_a_proxy_is_transparent_and_each_keeps_its_own_state(proxy_of):
    inner = Proxy(lambda: [1, 2])
    outer = proxy_of(inner)
    for _ in range(3):
        assert [len(outer), outer[0], outer.count(2), outer == [1, 2]] == [2, 1, 1, True]
        assert isinstance(outer, list)
    assert outer.__proxy_wrapped__ is inner
    assert inner.__proxy_wrapped__ == [1, 2]
    del outer.__proxy_wrapped__
    assert inner.__proxy_resolved__
