"""Store sparse arrays of scipy, and count the copies."""

import pytest

np = pytest.importorskip("numpy")
sparse = pytest.importorskip("scipy.sparse")

RNG = np.random.default_rng(3)
DENSE = RNG.random((90, 90)) * (RNG.random((90, 90)) > 0.5)
DENSE *= abs(np.subtract.outer(range(90), range(90))) < 45  # few enough diagonals for the format that stores them
FORMATS = ("bsr", "coo", "csc", "csr", "dia", "dok", "lil")


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("layout", FORMATS)
def test_a_sparse_array_comes_back_equal(through, layout, kind):
    array = getattr(sparse, f"{layout}_{kind}")(DENSE)
    found = through(array)
    assert (type(found), found.dtype, found.shape) == (type(array), array.dtype, array.shape)
    np.testing.assert_array_equal(found.toarray(), DENSE)


@pytest.mark.parametrize("kind", ["array", "matrix"])
@pytest.mark.parametrize("layout", ["bsr", "csc", "csr"])
def test_none_of_its_arrays_is_copied(trip, layout, kind):
    array = getattr(sparse, f"{layout}_{kind}")(DENSE)
    sent = trip(array)
    for name in ("data", "indices", "indptr"):
        part, found = getattr(array, name), getattr(sent.found, name)
        if part.nbytes >= 4096:
            assert sent.sent(part.ctypes.data)
            assert sent.received(found.ctypes.data)
    assert sent.found.data.flags.writeable
