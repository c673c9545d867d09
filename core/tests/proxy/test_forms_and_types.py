"""The forms of proxies follow the types of targets, whatever those are, and hold none of them."""

import copy
import gc
import pickle
import weakref

import pytest

from psk.proxy import Proxy, extract
from psk.proxy.target import write_target


class Unhashable(type):
    """Makes classes that cannot be hashed."""

    __hash__ = None

    def __eq__(cls, other):
        return cls is other


class Odd(metaclass=Unhashable):
    """An object of such a class."""

    size = 3

    def __len__(self):
        return self.size


def test_a_use_between_the_target_and_its_form_gives_the_form_of_the_target(fast_path):
    if not fast_path:
        pytest.skip("without the fast path a use leaves the form to whoever resolves the proxy")
    p = Proxy(lambda: None)
    write_target(p, [1, 2])  # as far as another thread has come that resolves it
    assert [len(p), len(p)] == [2, 2]
    assert not callable(p)


def test_a_target_of_an_unhashable_type_is_used_copied_and_pickled():
    p = Proxy(Odd, target=Odd(), cache_defaults=True)
    assert [p.size, p.size, len(p), len(p)] == [3] * 4
    assert not callable(p)
    for made in (copy.copy(p), pickle.loads(pickle.dumps(p))):
        assert len(made) == made.size == 3


def test_a_type_goes_that_was_that_of_a_target():
    def gone():
        kind = type("Kind", (), {"__len__": lambda _self: 2})
        p = Proxy(kind)
        assert [len(p), len(p), len(extract(p))] == [2] * 3
        return weakref.ref(kind)

    refs = [gone() for _ in range(3)]
    gc.collect()
    assert [ref() for ref in refs] == [None] * 3
