"""Policies choose by type and size, combine, travel, and leave proxies alone."""

import pickle
from array import array

import numpy as np
import pytest

from psk import Proxy
from psk.errors import InvalidArgumentError, PskError
from psk_patterns import ProxyAlways, ProxyNever, ProxySize, ProxyType
from psk_patterns.policies import check_policy, size_of

LARGE = np.zeros(1000)


def is_even(obj):
    return obj % 2 == 0


def bomb():
    raise AssertionError("a proxy was resolved")


def test_always_and_never():
    assert ProxyAlways()("anything")
    assert not ProxyNever()("anything")


def test_by_type():
    policy = ProxyType(str, dict)
    assert [policy(obj) for obj in ("text", {}, b"bytes", 1, [])] == [True, True, False, False, False]


@pytest.mark.parametrize(
    ("obj", "nbytes"),
    [
        (b"x" * 5000, 5000),
        (bytearray(5000), 5000),
        ("x" * 5000, 5000),
        (memoryview(array("d", [0.0] * 1000)), 8000),
        (LARGE, 8000),
        (LARGE[::2], 4000),
    ],
)
def test_sizes_are_known_without_serialising(obj, nbytes):
    assert size_of(obj) == nbytes


@pytest.mark.parametrize("obj", [array("d", LARGE), [0] * 1000])
def test_other_sizes_are_estimated(obj):
    assert 8000 <= size_of(obj) <= 9000


def test_data_frames_have_sizes_too():
    pandas, polars = pytest.importorskip("pandas"), pytest.importorskip("polars")
    assert 8000 <= size_of(pandas.DataFrame({"a": LARGE})) <= 9000
    assert size_of(polars.DataFrame({"a": LARGE})) == 8000


def test_by_size():
    assert ProxySize(8000)(LARGE)
    assert not ProxySize(8001)(LARGE)
    assert not ProxySize(1000)([LARGE])  # the list itself is small
    assert not ProxySize(1)(np.ndarray)  # a class has no bytes of its own, whatever its instances have


def test_policies_combine():
    assert (ProxySize(4) & ProxyType(str))("text")
    assert not (ProxySize(4) & ProxyType(str))(b"text")
    assert (ProxySize(100) | ProxyType(str))("text")
    assert (~ProxyType(str))(b"text")
    assert not (~ProxyType(str))("text")


def test_any_predicate_can_be_combined_at_either_side():
    assert (ProxyType(int) & is_even)(4)
    assert not (is_even & ProxyType(int))(3)
    assert (is_even | ProxyAlways())(3)
    assert (ProxyNever() | is_even)(4)


@pytest.mark.parametrize(
    "policy", [ProxyAlways(), ~ProxyNever(), ProxyType(object), ProxySize(0), ProxyNever() | ProxyAlways()]
)
def test_a_proxy_is_neither_proxied_again_nor_resolved(policy):
    assert not policy(Proxy(bomb))
    assert size_of(Proxy(bomb)) == 0


def test_policies_travel_and_say_what_they_are():
    policy = ProxySize(10) & ~ProxyType(str, bytes) | ProxyNever()
    copy = pickle.loads(pickle.dumps(policy))
    assert repr(copy) == repr(policy) == "((ProxySize(10) & ~ProxyType(str, bytes)) | ProxyNever())"
    assert copy([0] * 10)
    assert not copy("x" * 10)


@pytest.mark.parametrize(
    "make",
    [
        ProxyType,
        lambda: ProxyType("str"),
        lambda: ProxySize(-1),
        lambda: ProxySize(1.5),
        lambda: ProxySize(10) & 5,
        lambda: ProxyAlways() | ProxyType,
        lambda: check_policy("always"),
    ],
)
def test_what_is_no_policy_is_a_typed_error(make):
    with pytest.raises(InvalidArgumentError) as caught:
        make()
    assert isinstance(caught.value, PskError)
    assert caught.value.remedy


def test_a_number_is_a_size_and_none_is_never():
    assert repr(check_policy(10)) == "ProxySize(10)"
    assert repr(check_policy(None)) == "ProxyNever()"
    assert check_policy(is_even) is is_even
