"""Every special method is forwarded by the proxy or excused with a reason."""

import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest

from psk.proxy import Proxy
from psk.proxy.forms import OPTIONAL

TABLE = tomllib.loads((Path(__file__).parent / "operations.toml").read_text())
FORWARDED = {*TABLE["operations"], *TABLE["statements"], *TABLE["elsewhere"]}
ATTRIBUTES = {name for group in TABLE["attribute"] for name in group["names"]}
LEFT_OUT = {name for group in TABLE["left_out"] for name in group["names"]}
NEWER_THAN_3_11 = {"__buffer__"}


async def a_coroutine():
    return 1


async def an_async_generator():
    yield 1


@pytest.fixture
def samples(tmp_path):
    (tmp_path / "file").touch()
    coroutine = a_coroutine()
    with open(tmp_path / "file") as text, open(tmp_path / "file", "rb") as binary:
        values = [1, 1.0, 1j, "", b"", bytearray(), [], (), {}, set(), frozenset(), range(1), slice(1), int, None]
        values += [memoryview(b""), iter([]), (n for n in []), np.zeros(1), np.float64(1), text, binary]
        yield [*values, a_coroutine, coroutine, an_async_generator()]
    coroutine.close()


def special(names):
    return {name for name in names if name.startswith("__") and name.endswith("__")}


def test_every_special_method_of_the_sample_types_is_forwarded_or_excused(samples):
    classes_only = special(dir(type)) - special(dir(object))
    unknown = {
        (type(sample).__name__, name)
        for sample in samples
        for name in special(dir(sample)) - FORWARDED - ATTRIBUTES - LEFT_OUT - classes_only
        if type(sample).__name__ not in {"float64", "NoneType", "slice"} or name in dir(float)
    }
    assert not unknown


def test_what_the_table_calls_forwarded_is_defined_by_proxy():
    unresolved = type(Proxy(list))
    missing = {name for name in FORWARDED if getattr(unresolved, name, None) is getattr(object, name, None)}
    assert missing == (NEWER_THAN_3_11 if sys.version_info < (3, 12) else set())


def test_what_proxy_defines_is_in_the_table():
    own = {
        "__slots__",
        "__module__",
        "__doc__",
        "__new__",
        "__init__",
        "__init_subclass__",
        "__class_getitem__",
        "__annotations__",
    }
    own |= {"__weakref__", "__static_attributes__", "__firstlineno__", "__annotate_func__"}
    own |= {name for name in vars(Proxy) if name.startswith("__proxy_")}
    assert special(vars(Proxy)) - own == FORWARDED & special(vars(Proxy))
    assert OPTIONAL <= FORWARDED


def test_no_name_is_in_the_table_twice():
    assert not FORWARDED & ATTRIBUTES
    assert not FORWARDED & LEFT_OUT
    assert not ATTRIBUTES & LEFT_OUT


def test_a_new_special_method_would_be_noticed():
    assert "__no_such_operation__" not in FORWARDED | ATTRIBUTES | LEFT_OUT
