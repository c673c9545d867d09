"""Store frames of pandas, and count the copies."""

import pytest

np = pytest.importorskip("numpy")
pd = pytest.importorskip("pandas")

COUNT = 3000
NUMBERS = np.arange(float(COUNT))
TIMES = pd.date_range("2020-01-01", periods=COUNT, freq="h")
WORDS = [f"word {number % 50} of some length" for number in range(COUNT)]
OBJECTS = {
    "frame of one type": pd.DataFrame(NUMBERS.reshape(-1, 4), columns=list("abcd")),
    "frame of many types": pd.DataFrame({"i": range(COUNT), "f": NUMBERS, "b": NUMBERS > 9, "s": WORDS, "t": TIMES}),
    "empty": pd.DataFrame(),
    "without rows": pd.DataFrame({"a": np.empty(0), "s": pd.Series([], dtype="str")}),
    "named index": pd.DataFrame({"a": NUMBERS}, index=pd.Index(range(0, 2 * COUNT, 2), name="even")),
    "multi-index": pd.DataFrame(
        {"a": NUMBERS},
        index=pd.MultiIndex.from_product([range(50), TIMES[:60]], names=["x", "t"]),
    ),
    "columns in levels": pd.DataFrame(
        NUMBERS.reshape(-1, 4), columns=pd.MultiIndex.from_product([["a", "b"], ["x", "y"]])
    ),
    "time index": pd.DataFrame({"a": NUMBERS}, index=TIMES),
    "series": pd.Series(NUMBERS, name="n"),
    "text": pd.Series(WORDS),
    "text with gaps": pd.Series([None if i % 3 else word for i, word in enumerate(WORDS)], dtype="str"),
    "objects": pd.Series([*WORDS, 1, None], dtype=object),
    "categories": pd.Series(WORDS, dtype="category"),
    "ordered categories": pd.Series(pd.Categorical(["lo", "hi"] * 1500, categories=["lo", "hi"], ordered=True)),
    "times": pd.Series(TIMES),
    "times in a zone": pd.Series(TIMES.tz_localize("UTC").tz_convert("Asia/Tokyo")),
    "times with gaps": pd.Series(TIMES).where(NUMBERS % 2 == 0),
    "durations": pd.Series(TIMES - TIMES[0]),
    "periods": pd.Series(pd.period_range("2020-01", periods=COUNT, freq="D")),
    "intervals": pd.Series(pd.interval_range(0, periods=COUNT)),
    "nullable integers": pd.Series(np.arange(COUNT)).where(NUMBERS % 2 == 0).astype("Int64"),
    "nullable booleans": pd.Series([True, None, False] * 1000, dtype="boolean"),
    "sparse": pd.Series(pd.arrays.SparseArray(np.where(NUMBERS % 5, 0, NUMBERS))),
    "every second row": pd.DataFrame(NUMBERS.reshape(-1, 4)).iloc[::2],
    "index": pd.Index(range(5, 9000)),
    "index of times": TIMES,
}


def assert_same(found, obj):
    assert type(found) is type(obj)
    compare = {pd.DataFrame: pd.testing.assert_frame_equal, pd.Series: pd.testing.assert_series_equal}
    compare.get(type(obj), pd.testing.assert_index_equal)(found, obj)


@pytest.mark.parametrize("name", OBJECTS)
def test_an_object_comes_back_equal(through, name):
    assert_same(through(OBJECTS[name]), OBJECTS[name])


@pytest.mark.parametrize(
    ("name", "memory"),
    [
        ("frame of one type", lambda obj: obj.to_numpy()),
        ("multi-index", lambda obj: obj["a"].to_numpy()),
        ("time index", lambda obj: obj.index.asi8),
        ("series", lambda obj: obj.to_numpy()),
        ("times", lambda obj: obj.to_numpy()),
        ("times in a zone", lambda obj: obj.array.asi8),
        ("durations", lambda obj: obj.to_numpy()),
        ("periods", lambda obj: obj.array.asi8),
        ("nullable integers", lambda obj: obj.array._data),
        ("index of times", lambda obj: obj.asi8),
    ],
)
def test_the_memory_of_numbers_and_times_is_not_copied(trip, name, memory):
    obj = OBJECTS[name]
    sent = trip(obj)
    assert_same(sent.found, obj)
    assert sent.sent(memory(obj).ctypes.data)
    assert sent.received(memory(sent.found).ctypes.data)


def test_text_in_arrow_memory_is_not_copied(trip):
    pa = pytest.importorskip("pyarrow")
    for dtype in ("str", pd.ArrowDtype(pa.large_string())):
        text = pd.Series(WORDS, dtype=dtype)
        sent = trip(text)
        assert_same(sent.found, text)
        for series, holds in ((text, sent.sent), (sent.found, sent.received)):
            (chunk,) = series.array.__arrow_array__().chunks
            assert holds(chunk.buffers()[2].address)


def test_a_column_in_chunks_comes_back_equal(through):
    pytest.importorskip("pyarrow")
    text = pd.concat([OBJECTS["text"], OBJECTS["text with gaps"]], ignore_index=True)
    assert_same(through(text), text)
    assert_same(through(text[text.isna()]), text[text.isna()])


def test_the_head_of_a_long_column_of_text_travels_alone(trip):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"s": WORDS * 10})
    sent = trip(frame.head(20))
    assert sent.payload.nbytes < 5000
    assert_same(sent.found, frame.head(20))


def test_a_frame_that_arrived_can_be_written_to(through):
    found = through(OBJECTS["frame of many types"])
    found.loc[0, "f"] = 99.0
    found.loc[0, "s"] = "new"
    found.loc[0, "t"] = TIMES[5]
    assert found.loc[0].tolist()[1:] == [99.0, False, "new", TIMES[5]]
    assert OBJECTS["frame of many types"].loc[0, "f"] == 0
