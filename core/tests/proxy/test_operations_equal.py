"""Each operation has the same result, or error, with a proxy as with its target."""

import copy
import math
import operator
import os
import pathlib
import tomllib
import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from psk.proxy import Proxy, extract, resolve

TABLE = tomllib.loads((pathlib.Path(__file__).parent / "operations.toml").read_text())
NAMES = {"math": math, "operator": operator, "os": os}

small = st.integers(-5, 20)
SCALARS = {
    "int": small,
    "bool": st.booleans(),
    "float": st.floats(width=16),
    "complex": st.complex_numbers(max_magnitude=9),
    "str": st.text(max_size=4),
    "bytes": st.binary(max_size=4),
    "none": st.none(),
}
scalars = st.one_of(*SCALARS.values())
TARGETS = SCALARS | {
    "bytearray": st.binary(max_size=4).map(bytearray),
    "list": st.lists(scalars, max_size=3),
    "tuple": st.lists(scalars, max_size=3).map(tuple),
    "dict": st.dictionaries(scalars, scalars, max_size=3),
    "set": st.sets(small, max_size=3),
    "frozenset": st.frozensets(small, max_size=3),
    "range": small.map(range),
    "ndarray": st.lists(small, min_size=1, max_size=3).map(np.array),
    "ndarray of floats": st.lists(st.floats(width=16), max_size=3).map(np.array),
    "class": st.sampled_from([int, list, str]),
    "function": st.sampled_from([len, abs]),
    "path": st.sampled_from([pathlib.PurePosixPath("/tmp/x")]),
}
others = st.one_of(small, *TARGETS.values())


def outcome(code, x, y):
    """Run an operation; tell its result, or its error, and what it left in x."""
    scope = {**NAMES, "x": x, "y": y}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            exec(code, scope)
            result = scope.get("result")
        except Exception as error:  # noqa: BLE001  # the very error is compared
            # What Python itself says of an operation that is missing names the proxy beside its target's type.
            result = (type(error), str(error).replace("Proxy of ", ""))
    return described(result), described(scope["x"])


def described(value):
    if isinstance(value, Proxy):
        value = extract(value)
    if isinstance(value, np.ndarray):
        return ("ndarray", str(value.dtype), value.shape, repr(value.tolist()))
    if isinstance(value, list | tuple):
        return (type(value), [described(item) for item in value])
    return (type(value), repr(value))


def proxy_in(state, target):
    proxy = Proxy(lambda: target)
    if state != "unresolved":
        resolve(proxy)
    if state == "used":
        bool(proxy.__doc__)
    return proxy


@pytest.mark.parametrize("state", ["unresolved", "used"])
@pytest.mark.parametrize("kind", TARGETS)
def test_operations_are_those_of_the_target(kind, state, scale):
    codes = [(name, compile(f"result = {text}", name, "exec")) for name, text in TABLE["operations"].items()]
    codes += [(name, compile(text, name, "exec")) for name, text in TABLE["statements"].items()]

    @settings(max_examples=scale("proxy.operations"), deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(target=TARGETS[kind], y=others)
    def check(target, y):
        for name, code in codes:
            expected = outcome(code, copy.deepcopy(target), copy.deepcopy(y))
            got = outcome(code, proxy_in(state, copy.deepcopy(target)), copy.deepcopy(y))
            assert got == expected, name

    check()


@pytest.mark.parametrize("kind", TARGETS)
def test_operations_between_two_proxies_are_those_of_the_targets(kind, scale):
    arithmetic = [name for name in TABLE["operations"] if "y" in TABLE["operations"][name].split()]
    codes = [(name, compile(f"result = {TABLE['operations'][name]}", name, "exec")) for name in arithmetic]

    @settings(max_examples=scale("proxy.operations"), deadline=None)
    @given(target=TARGETS[kind], y=TARGETS[kind])
    def check(target, y):
        for name, code in codes:
            expected = outcome(code, copy.deepcopy(target), copy.deepcopy(y))
            got = outcome(code, proxy_in("used", copy.deepcopy(target)), proxy_in("unresolved", copy.deepcopy(y)))
            # Where neither side knows the operation, the message may name the proxy's class for the second one.
            if isinstance(expected[0], tuple) and "Error" in str(expected[0]):
                continue
            assert got == expected, name

    check()
