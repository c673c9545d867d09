"""Get every object back as it was, in whatever way its payload is received."""

import datetime as dt
import decimal
import fractions
import pickle
import uuid

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from psk.wire import Frames, Payload, decode, encode

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.text()
    | st.binary(max_size=9000)
    | st.binary(max_size=9000).map(bytearray)
    | st.datetimes()
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.uuids()
)
HASHABLE = st.none() | st.booleans() | st.integers() | st.text() | st.binary()
OBJECTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner)
        | st.lists(inner).map(tuple)
        | st.dictionaries(HASHABLE, inner)
        | st.sets(HASHABLE)
        | st.frozensets(HASHABLE)
    ),
    max_leaves=12,
)


def frames_of(payload):
    """The payload's buffers as a connector returns them one by one: header block, then frames, no padding."""
    whole = payload.tobytes()
    start = len(payload._block)
    pieces = [whole[:start]]
    for size in payload.frame_sizes:
        start = -(-start // 64) * 64
        pieces.append(whole[start : start + size])
        start += size
    return pieces


def receptions(payload):
    """Every form in which a payload may arrive."""
    whole, pieces = payload.tobytes(), frames_of(payload)
    yield whole
    yield bytearray(whole)
    yield Frames([whole])
    yield Frames([memoryview(bytearray(whole))])
    yield Frames(pieces)
    yield Frames([pieces[0], *(memoryview(bytearray(piece)) for piece in pieces[1:])])
    yield Frames([memoryview(whole)], sums=payload.sums or None)


def assert_round_trip(obj, equal=lambda a, b: type(a) is type(b) and a == b, **options):
    payload = encode(obj, **options)
    assert payload.nbytes == len(payload.tobytes()) == sum(memoryview(buffer).nbytes for buffer in payload.buffers())
    for received in receptions(payload):
        parsed = Payload.parse(received)
        parsed.verify()
        assert (parsed.object_id, parsed.codec, parsed.frame_sizes, parsed.nbytes, parsed.checksum) == (
            payload.object_id,
            payload.codec,
            payload.frame_sizes,
            payload.nbytes,
            payload.checksum,
        )
        assert parsed.tobytes() == payload.tobytes()
        assert Payload.parse(parsed.received).tobytes() == payload.tobytes()
        assert equal(decode(parsed), obj)


def test_nested_objects_come_back(scale):
    @settings(max_examples=scale("wire.round_trips"), deadline=None)
    @given(OBJECTS, st.booleans())
    def check(obj, checksum):
        assert_round_trip(obj, checksum=checksum)

    check()


@pytest.mark.parametrize("size", [0, 1, 63, 64, 65, 4095, 4096, 65535, 65536, 300_000])
def test_raw_objects_of_every_size_come_back(size):
    assert_round_trip(b"\x01" * size)
    assert_round_trip(bytearray(b"\x02" * size))
    assert_round_trip("\u00e9" * size)
    assert_round_trip(memoryview(b"\x03" * size))


@pytest.mark.parametrize("text", ["", "plain", "\0", "na\u00efve \U0001f40d", "\ud800 alone", "\udcff"])
def test_any_text_comes_back(text):
    assert_round_trip(text)


def test_subclasses_of_raw_types_keep_their_class():
    assert_round_trip(Text("abc"))
    assert encode(Text("abc")).codec == "pickle"


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize("code", "bBhHiIlLqQnNfd?")
def test_memoryviews_keep_format_and_shape(code):
    flat = (
        memoryview(bytearray(range(24 * 8))).cast(code)
        if code != "?"
        else memoryview(bytearray(b"\1\0" * 96)).cast("?")
    )
    assert_round_trip(flat, equal=same_memory)
    itemsize = flat.itemsize
    grid = flat.cast("B").cast(code, (2, 3, 24 * 8 // itemsize // 6)) if 24 * 8 // itemsize % 6 == 0 else flat
    assert_round_trip(grid, equal=same_memory)


def same_memory(found, expected):
    return (
        type(found) is memoryview
        and found.format.removeprefix("@") == expected.format.removeprefix("@")
        and (found.shape, found.readonly) == (expected.shape, expected.readonly)
        and found.tobytes() == expected.tobytes()
    )


@pytest.mark.parametrize(
    "view",
    [
        memoryview(b"abcdef")[::2],
        memoryview(bytearray(b"abcdef"))[::-1],
        memoryview(np.arange(12.0).reshape(3, 4).T),
        memoryview(np.zeros((0, 3))),
        memoryview(np.zeros(0)),
        memoryview(np.array(3.5)),
        memoryview(b"chars").cast("c"),
    ],
    ids=["stepped", "reversed", "transposed", "no rows", "empty", "no dimension", "chars"],
)
def test_unusual_memoryviews_come_back(view):
    assert_round_trip(view, equal=same_memory)


def arrays():
    grid = np.arange(12_000, dtype="f8").reshape(100, 120)
    return {
        "small": np.arange(10),
        "large": grid,
        "F order": np.asfortranarray(grid),
        "transposed": grid.T,
        "strided": grid[::2, 1::3],
        "reversed": grid[::-1],
        "no dimension": np.array(2.5),
        "empty": np.empty((0, 7)),
        "object": np.array([1, "two", [3], None], dtype=object),
        "structured": np.array([(1, 2.5, b"x")] * 500, dtype=[("a", "<i4"), ("b", ">f8"), ("c", "S3")]),
        "record": np.array([(1, 2.5)] * 500, dtype=[("a", "i4"), ("b", "f8")]).view(np.recarray),
        "datetime": np.arange("2020-01", "2021-01", dtype="datetime64[D]").repeat(20),
        "timedelta": np.arange(1000).astype("timedelta64[ns]"),
        "big-endian": np.arange(1000, dtype=">i8"),
        "complex": np.arange(1000) * 1j,
        "bool": np.arange(9000) % 2 == 0,
        "text": np.array(["ab", "\u00e9"] * 2000),
        "bytes": np.array([b"ab", b"c"] * 2000),
        "half": np.arange(4000, dtype="f2"),
        "broadcast": np.broadcast_to(np.arange(100.0), (100, 100)),
        "void": np.zeros(5000, dtype="V3"),
        "matrix-like subclass": grid.view(Labelled),
        "scalar": np.float32(1.5),
    }


class Labelled(np.ndarray):
    pass


def same_array(found, expected):
    return (
        type(found) is type(expected)
        and found.dtype == expected.dtype
        and found.shape == expected.shape
        and np.array_equal(found, expected)
    )


@pytest.mark.parametrize("kind", sorted(arrays()))
def test_arrays_come_back(kind):
    assert_round_trip(arrays()[kind], equal=same_array)


@pytest.mark.parametrize("kind", sorted(set(arrays()) - {"scalar"}))
def test_arrays_come_back_as_writable_as_pickle_makes_them(kind):
    array = arrays()[kind]
    buffers = []
    stream = pickle.dumps(array, 5, buffer_callback=buffers.append)
    expected = pickle.loads(
        stream, buffers=[bytearray(b.raw()) if not b.raw().readonly else bytes(b.raw()) for b in buffers]
    )
    for received in receptions(encode(array)):
        assert decode(Payload.parse(received)).flags.writeable == expected.flags.writeable


def test_masked_arrays_come_back():
    array = np.ma.masked_array(np.arange(5000.0), mask=np.arange(5000) % 3 == 0)
    assert_round_trip(
        array, equal=lambda a, b: type(a) is type(b) and (a.mask == b.mask).all() and (a.filled(0) == b.filled(0)).all()
    )


def test_memory_mapped_arrays_come_back(tmp_path):
    array = np.memmap(tmp_path / "array", dtype="f4", mode="w+", shape=(30, 100))
    array[:] = np.arange(3000).reshape(30, 100)
    assert_round_trip(array, equal=same_array)


@pytest.mark.parametrize(
    "obj",
    [
        dt.timedelta(1.5),
        decimal.Decimal("1.10"),
        fractions.Fraction(1, 3),
        uuid.UUID(int=5),
        range(3),
        slice(1, 2),
        {1: {2: {3: [bytes(70_000), "x" * 70_000, bytearray(70_000)]}}},
    ],
    ids=lambda obj: type(obj).__name__,
)
def test_common_objects_come_back(obj):
    assert_round_trip(obj)


def test_recursive_objects_come_back():
    obj = [b"x" * 70_000]
    obj.append(obj)
    found = decode(Payload.parse(encode(obj).tobytes()))
    assert found[1] is found
    assert found[0] == obj[0]


def test_more_buffers_than_a_payload_has_frames_travel_in_the_stream(monkeypatch):
    monkeypatch.setattr("psk.wire.pickling.MAXIMUM_FRAMES", 3)
    arrays = [np.full(1000, number) for number in range(5)]
    payload = encode(arrays)
    assert len(payload.frame_sizes) == 3
    found = decode(Payload.parse(payload.tobytes()))
    assert all(np.array_equal(a, b) and a.flags.writeable for a, b in zip(found, arrays, strict=True))


def test_a_payload_without_frames_is_a_payload():
    payload = Payload.build("pickle", [])
    assert Payload.parse(payload.tobytes()).frame_views() == []


def test_facts_about_the_object_travel_in_the_header():
    payload = Payload.parse(encode([1], object_id=bytes(range(16)), revision=7, expires=True).tobytes())
    assert payload.key == "000102030405060708090a0b0c0d0e0f"
    assert (payload.revision, payload.expires, payload.signed_by) == (7, True, "")
    assert not Payload.parse(encode([1]).tobytes()).expires
