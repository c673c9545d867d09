"""Store arrays of numpy, and count the copies."""

import numpy as np
import pytest

RNG = np.random.default_rng(7)
LARGE = RNG.random((300, 50))
RECORD = np.dtype([("a", "i4"), ("b", "f8"), ("c", "S3")])
ARRAYS = {
    "numbers": LARGE,
    "Fortran order": np.asfortranarray(LARGE),
    "strided": LARGE[::2, ::3],
    "reversed": LARGE[::-1],
    "permuted": RNG.random((20, 30, 40)).transpose(1, 0, 2),
    "broadcast": np.broadcast_to(np.arange(50.0), (300, 50)),
    "small": np.arange(3, dtype="i2"),
    "no dimension": np.array(7.5),
    "empty": np.empty((0, 4)),
    "empty, Fortran order": np.empty((4, 0, 3), order="F"),
    "bool": LARGE > 0.5,
    "complex": LARGE + 1j,
    "half": LARGE.astype("f2"),
    "long double": LARGE.astype("g"),
    "big-endian": LARGE.astype(">f8"),
    "times": np.arange(15_000).reshape(300, 50).astype("M8[ns]"),
    "times, Fortran order": np.asfortranarray(np.arange(15_000).reshape(300, 50).astype("M8[25s]")),
    "times, strided": np.arange(30_000).astype("M8[D]")[::2],
    "times, big-endian": np.arange(15_000).astype(">M8[s]"),
    "not a time": np.array(["NaT", "2020-01-01"], "M8[s]").repeat(5000),
    "durations": np.arange(15_000).astype("m8[us]"),
    "text": np.array(["a", "bcd"]).repeat(5000),
    "bytes": np.array([b"a", b"bcd"]).repeat(5000),
    "void": np.arange(20_000, dtype="u1").view("V5"),
    "records": np.zeros(3000, RECORD),
    "records, strided": np.zeros(3000, RECORD)[::2],
    "records with times": np.zeros(3000, [("t", "M8[s]"), ("x", "i8")]),
    "objects": np.array([None, "a", 1] * 2000, object),
    "objects, strided": np.array([None, "a", 1] * 2000, object)[::2],
    "metadata": np.zeros(2000, np.dtype("i8", metadata={"unit": "m"})),
    "record array": np.rec.fromarrays([np.arange(5000), np.arange(5000.0)], names="a,b"),
    "matrix": np.arange(6000.0).reshape(60, 100).view(np.matrix),
}
COPIED = {"objects", "objects, strided", "records with times"}
"""What numpy puts into the pickle: references to objects, and times inside records."""


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_comes_back_equal(through, name):
    array = ARRAYS[name]
    found = through(array)
    assert type(found) is type(array)
    assert (found.dtype, found.shape) == (array.dtype, array.shape)
    assert found.dtype.metadata == array.dtype.metadata
    np.testing.assert_array_equal(found, array)


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_is_not_copied_unless_it_has_gaps(trip, name):
    array = ARRAYS[name]
    sent = trip([array])
    np.testing.assert_array_equal(sent.found[0], array)
    contiguous = array.flags.forc and name not in COPIED and array.nbytes >= 4096
    assert sent.sent(array.ctypes.data) == contiguous
    if array.nbytes >= 4096 and name not in COPIED:
        assert sent.in_band < 1000
        assert sent.received(sent.found[0].ctypes.data)
        assert sent.found[0].flags.writeable == (array.flags.writeable or not array.flags.forc)


def test_the_layout_in_memory_is_kept(trip):
    assert trip(ARRAYS["Fortran order"]).found.flags.f_contiguous
    assert trip(ARRAYS["times, Fortran order"]).found.flags.f_contiguous


def test_a_read_only_array_of_times_comes_back_read_only(trip):
    array = np.arange(10_000).astype("M8[s]")
    array.flags.writeable = False
    assert not trip(array).found.flags.writeable


def test_an_array_that_occurs_twice_is_sent_once(trip):
    array = np.arange(10_000.0)
    sent = trip([array, array])
    assert sent.found[0] is sent.found[1]
    assert sent.payload.nbytes < 1.1 * array.nbytes


def test_subclasses_of_the_users_own_keep_their_own_pickling(through):
    found = through(Measured(np.arange(2000), "m"))
    assert (type(found), found.unit, found[-1]) == (Measured, "m", 1999)


class Measured(np.ndarray):
    def __new__(cls, data, unit):
        self = np.asarray(data).view(cls)
        self.unit = unit
        return self

    def __reduce__(self):
        return Measured, (np.asarray(self), self.unit)


def test_a_memory_map_travels_as_its_content(trip, tmp_path):
    mapped = np.memmap(tmp_path / "map", "f8", mode="w+", shape=10_000)
    mapped[:] = np.arange(10_000)
    sent = trip(mapped)
    assert type(sent.found) is np.memmap
    assert sent.sent(mapped.ctypes.data)
    assert sent.received(sent.found.ctypes.data)
    np.testing.assert_array_equal(sent.found, mapped)


def masked(**options):
    return np.ma.MaskedArray(np.arange(10_000.0), **options)


MASKED = {
    "mask": masked(mask=np.arange(10_000) % 2),
    "no mask": masked(),
    "fill value": masked(mask=np.arange(10_000) % 3, fill_value=-1),
    "hard mask": masked(mask=np.arange(10_000) % 3, hard_mask=True),
    "two dimensions": np.ma.masked_greater(LARGE, 0.5),
    "times": np.ma.MaskedArray(np.arange(10_000).astype("M8[s]"), mask=np.arange(10_000) % 2),
    "records": np.ma.MaskedArray(np.zeros(5000, RECORD), mask=[(1, 0, 1)] * 5000),
    "no dimension": np.ma.MaskedArray(5, mask=True),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_masked_array_comes_back_equal(through, name):
    array = MASKED[name]
    found = through({"a": array})["a"]
    assert type(found) is np.ma.MaskedArray
    assert (found.dtype, found.hardmask) == (array.dtype, array.hardmask)
    assert str(found.fill_value) == str(array.fill_value)  # which may be no time, and equal to nothing
    assert (found.mask is np.ma.nomask) == (array.mask is np.ma.nomask)
    np.testing.assert_array_equal(np.ma.getmaskarray(found), np.ma.getmaskarray(array))
    np.testing.assert_array_equal(found.data, array.data)


def test_neither_data_nor_mask_is_copied(trip):
    array = MASKED["mask"]
    sent = trip(array)
    assert sent.sent(array.data.ctypes.data)
    assert sent.sent(array.mask.ctypes.data)
    assert sent.received(sent.found.data.ctypes.data)
    assert sent.received(sent.found.mask.ctypes.data)
    sent.found[1] = np.ma.masked
    sent.found[0] = 5
    assert (sent.found[0], sent.found.mask[1]) == (5, True)


def test_the_masked_constant_stays_the_only_one(through):
    assert through([np.ma.masked])[0] is np.ma.masked
