"""numpy uses a proxy as the array behind it, without a copy."""

import numpy as np
import pytest

from psk.proxy import is_resolved, make_proxy

ARRAYS = {
    "plain": np.arange(6.0),
    "fortran": np.asfortranarray(np.arange(6).reshape(2, 3)),
    "reversed": np.arange(6)[::-2],
    "zero-dimensional": np.array(5),
    "empty": np.empty((0, 3)),
    "dates": np.array(["2020-01-01"], "datetime64[D]"),
    "records": np.zeros(2, [("a", "i4"), ("b", "f8")]),
    "big-endian": np.arange(3, dtype=">i4"),
    "objects": np.array([1, "a", None], object),
    "text": np.array(["a", "bcd"]),
    "bool": np.array([True, False]),
}


@pytest.fixture(params=ARRAYS)
def array(request):
    """An array of each kind."""
    return ARRAYS[request.param].copy(order="K")


@pytest.mark.parametrize("convert", [np.asarray, np.asanyarray, lambda p: np.array(p, copy=False)])
def test_conversion_shares_memory(proxy_of, array, convert):
    converted = convert(proxy_of(array))
    assert type(converted) is np.ndarray
    assert converted.dtype == array.dtype
    assert converted.shape == array.shape
    if array.size:
        assert np.shares_memory(converted, array)
        assert converted.ctypes.data == array.ctypes.data
    assert converted.flags.writeable == array.flags.writeable


def test_a_read_only_array_stays_read_only(proxy_of):
    array = np.arange(3)
    array.flags.writeable = False
    assert not np.asarray(proxy_of(array)).flags.writeable


def test_ufuncs_see_the_array(proxy_of):
    array = np.arange(3)
    assert np.add(proxy_of(array), 1).tolist() == [1, 2, 3]
    assert np.add(1, proxy_of(array)).tolist() == [1, 2, 3]
    assert np.add(proxy_of(array), proxy_of(array)).tolist() == [0, 2, 4]
    assert np.add.reduce(proxy_of(array)) == 3
    assert np.multiply.outer(proxy_of(array), [1, 2]).shape == (3, 2)
    out = np.zeros(3, int)
    np.add(proxy_of(array), 1, out=proxy_of(out))
    assert out.tolist() == [1, 2, 3]
    assert (array + proxy_of(array)).tolist() == [0, 2, 4]
    assert (array @ proxy_of(array)) == 5


def test_ufuncs_keep_subclasses(proxy_of):
    masked = np.ma.array([1, 2], mask=[True, False])
    assert isinstance(np.add(proxy_of(masked), 1), np.ma.MaskedArray)


def test_a_python_number_behind_a_proxy_stays_weak(proxy_of):
    assert (np.ones(1, np.float32) * proxy_of(3)).dtype == np.float32


def test_functions_see_the_array(proxy_of):
    array = np.arange(4.0)
    assert np.sum(proxy_of(array)) == 6
    assert np.concatenate([proxy_of(array), proxy_of(array)]).shape == (8,)
    assert np.dot(proxy_of(array), array) == 14
    assert np.mean(proxy_of(array)) == 1.5
    assert np.array_equal(proxy_of(array), array)
    assert np.linalg.norm(proxy_of(array)) == np.linalg.norm(array)


def test_other_targets_convert_as_themselves(proxy_of):
    for target in (3, 2.5, True, "abc", [1, 2], (1, 2), [[1], [2]]):
        expected = np.asarray(target)
        got = np.asarray(proxy_of(target))
        assert (got.dtype, got.tolist()) == (expected.dtype, expected.tolist())
    assert np.array([proxy_of(1.0), proxy_of(2.0)]).dtype == np.float64


def test_indexing_with_a_proxy(proxy_of):
    array = np.arange(5)
    assert array[proxy_of(2)] == 2
    assert array[proxy_of(np.array([0, 1]))].tolist() == [0, 1]
    assert array[proxy_of(array > 3)].tolist() == [4]


def test_asking_for_the_class_does_not_resolve():
    proxy = make_proxy(lambda: np.arange(3), np.ndarray)
    assert isinstance(proxy, np.ndarray)
    assert not is_resolved(proxy)


def test_resizing_needs_to_be_told_about_the_proxys_references(proxy_of):
    proxy = proxy_of(np.arange(3))
    proxy.resize(5, refcheck=False)
    assert len(proxy) == 5
