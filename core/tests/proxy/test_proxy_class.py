"""A proxy shows the class of its target, except to those that serialise it."""

import abc
import collections.abc
import functools
import numbers
import typing
from types import FunctionType
from unittest import mock

import pytest

from psk.proxy import Proxy


class Point:
    __match_args__ = ("x", "y")

    def __init__(self, x, y):
        self.x, self.y = x, y


def test_a_proxy_is_an_instance_of_its_targets_class_and_of_proxy(proxy_of):
    for target in ([1], {}, 5, "a", Point(1, 2)):
        proxy = proxy_of(target)
        assert isinstance(proxy, type(target))
        assert isinstance(proxy, Proxy)
        assert proxy.__class__ is type(target)
        assert not isinstance(proxy, bytes)
        assert issubclass(type(proxy), Proxy)
        assert type(proxy).__name__ == "Proxy"
        assert type(proxy).__module__ == "psk.proxy"


def test_abstract_classes_accept_it(proxy_of):
    assert isinstance(proxy_of({}), collections.abc.Mapping)
    assert not isinstance(proxy_of([]), collections.abc.Mapping)
    assert isinstance(proxy_of([]), collections.abc.Sequence)
    assert isinstance(proxy_of([]), collections.abc.Iterable)
    assert isinstance(proxy_of(3), numbers.Integral)

    class Interface(abc.ABC):  # noqa: B024  # what is registered with it is the test
        pass

    Interface.register(Point)
    assert isinstance(proxy_of(Point(1, 2)), Interface)


def test_typing_generics_look_past_it(proxy_of):
    assert not isinstance(proxy_of({}), typing.Mapping)
    assert isinstance(proxy_of({}), collections.abc.Mapping)


def test_single_dispatch_takes_the_targets_class(proxy_of):
    @functools.singledispatch
    def name(value):
        return "other"

    name.register(list)(lambda value: "list")
    assert name(proxy_of([])) == "list"
    assert name(proxy_of(())) == "other"


def test_class_patterns_match(proxy_of):
    match proxy_of(Point(1, 2)):
        case Point(x=1, y=other):
            assert other == 2
        case _:
            pytest.fail("not matched")
    match proxy_of(Point(1, 2)):
        case Point(1, other):
            assert other == 2
        case _:
            pytest.fail("not matched")
    match proxy_of(5):
        case str():
            pytest.fail("matched")
        case int(number):
            assert number == 5


def test_values_patterns_match(proxy_of):
    match proxy_of("go"):
        case "stop":
            pytest.fail("matched")
        case "go":
            pass
        case _:
            pytest.fail("not matched")


def test_a_proxied_class_can_be_called_subclassed_and_asked(proxy_of):
    proxy = proxy_of(Point)
    assert proxy(1, 2).y == 2
    assert isinstance(Point(1, 2), proxy)
    assert not isinstance(3, proxy)
    assert issubclass(Point, proxy)
    assert isinstance(proxy, type)

    class Derived(proxy):
        pass

    assert issubclass(Derived, Point)
    assert Derived(1, 2).x == 1


def test_what_is_no_class_cannot_be_subclassed(proxy_of):
    with pytest.raises((TypeError, AttributeError)):
        type("Derived", (proxy_of(3),), {})


def test_a_function_shows_its_class(proxy_of):
    def function(a, b=2):
        return a + b

    proxy = proxy_of(function)
    assert isinstance(proxy, FunctionType)
    assert proxy(1) == 3
    assert functools.wraps(proxy)(lambda: 1).__name__ == "function"


def test_a_proxy_in_a_class_body_does_not_resolve(counted):
    factory = counted(5)

    class Holder:
        value = Proxy(factory)

    assert factory.calls == 0
    assert Holder.value + 1 == 6
    assert Holder().value + 1 == 6


def test_mock_accepts_a_proxy(proxy_of):
    point = Point(1, 2)
    proxy = proxy_of(point)
    with mock.patch.object(proxy, "x", 5):
        assert point.x == 5
    assert point.x == 1
    assert mock.Mock(spec=proxy).y is not None
    call = mock.Mock()
    call(proxy)
    call.assert_called_with(point)


def test_the_class_keeps_its_own_names():
    assert Proxy.__module__ == "psk.proxy"
    assert Proxy.__doc__.startswith("A transparent stand-in")
    assert Proxy.__name__ == "Proxy"
    assert str(Proxy[int]) == "psk.proxy.Proxy[int]"
