"""Number types alike everywhere, without importing anything."""

import array
import collections
import subprocess
import sys

import numpy as np
import pytest

from psk.wire import code_of, portable_hash, type_codes, type_of


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        *[(int, 1), (float, 2), (complex, 3), (str, 4), (bytes, 5), (bytearray, 6), (list, 7), (tuple, 8), (dict, 9)],
        *[(set, 10), (frozenset, 11), (range, 12), (memoryview, 13), (slice, 14), (np.ndarray, 64)],
        *[(np.ma.MaskedArray, 72), (array.array, 73), (collections.deque, 74), (collections.OrderedDict, 75)],
    ],
)
def test_numbers_are_fixed_forever(kind, code):
    assert code_of(kind) == code
    assert type_of(code) is kind


class ndarray:  # noqa: N801  # a namesake
    pass


@pytest.mark.parametrize(
    "kind", [bool, type(None), object, type, ndarray, type("int", (int,), {}), collections.UserDict]
)
def test_other_types_have_no_number(kind):
    assert code_of(kind) == type_codes.UNKNOWN


def test_a_type_that_cannot_be_hashed_has_no_number():
    class Meta(type):
        __hash__ = None

    assert code_of(Meta("Odd", (), {})) == 0


@pytest.mark.parametrize("code", [0, 15, 63, 255, -1])
def test_unknown_numbers_mean_no_type(code):
    assert type_of(code) is None


def test_no_number_imports_anything():
    program = (
        "import sys; from psk.wire import type_of, code_of; before = set(sys.modules);"
        "assert type_of(64) is None and type_of(65) is None; [type_of(c) for c in range(256)];"
        "code_of(type('ndarray', (), {})); assert set(sys.modules) == before"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


@pytest.mark.parametrize("obj", [0, -1, 2**70, 1.5, float("inf"), 1j])
def test_numbers_hash_alike_everywhere(obj):
    assert portable_hash(obj) == hash(obj)


@pytest.mark.parametrize(
    "obj", ["text", b"bytes", None, True, (1,), float("nan"), complex("nan"), [], type("Int", (int,), {})(1)]
)
def test_other_hashes_stay_at_home(obj):
    assert portable_hash(obj) is None
