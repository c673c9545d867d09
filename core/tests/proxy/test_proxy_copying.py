"""A copy of a proxy shares the factory with it, and never the target."""

import copy

import numpy as np
import pytest

from psk.proxy import Proxy, extract, get_factory, is_resolved, make_proxy
from psk.proxy.target import public_class


class Special(Proxy):
    __slots__ = ()


@pytest.mark.parametrize("target", [[1, [2]], np.arange(3), {"a": 1}, 5, len])
@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_is_a_new_unresolved_proxy(proxy_of, how, target):
    proxy = proxy_of(target)
    made = how(proxy)
    assert public_class(made) is Proxy
    assert made is not proxy
    assert not is_resolved(made)
    assert repr(extract(made)) == repr(target)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_a_copy_keeps_the_class(proxy_of, how):
    assert public_class(how(proxy_of([1], Special))) is Special


def test_a_shallow_copy_shares_the_factory_and_a_deep_one_does_not(counted):
    factory = counted([1])
    proxy = Proxy(factory)
    assert get_factory(copy.copy(proxy)) is factory
    deep = get_factory(copy.deepcopy(proxy))
    assert deep is not factory
    assert deep.target is not factory.target
    assert factory.calls == 0


def test_a_deep_copy_respects_what_was_copied_before(counted):
    proxy = Proxy(counted([1]))
    first, second = copy.deepcopy([proxy, proxy])
    assert first is second


def test_defaults_are_copied():
    made = copy.deepcopy(make_proxy(list, int, 7))
    assert isinstance(made, int)
    assert hash(made) == 7
    assert not is_resolved(made)
