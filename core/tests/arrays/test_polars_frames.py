"""Store frames of polars, and count the copies."""

import datetime as dt
import decimal

import pytest

pl = pytest.importorskip("polars")

COUNT = 20_000
DAY = dt.datetime(2020, 1, 1)  # noqa: DTZ001  polars keeps times without a zone as well


def repeated(values, dtype=None):
    return pl.Series("x", [*values] * (COUNT // len(values)), dtype=dtype)


SERIES = {
    "numbers": repeated([1, 2, None]),
    "small": pl.Series("x", [1, 2, None]),
    "empty": pl.Series("x", [], dtype=pl.Int16),
    "floats": repeated([1.5, None, float("inf")]),
    "bool": pl.Series("x", [True, None, False, True] * 200_000),
    "text": repeated(["a", None, "a text that is longer than twelve bytes"]),
    "bytes": repeated([b"a", None, b"some that are longer than twelve bytes"]),
    "dates": repeated([DAY.date(), None, DAY.date()]),
    "times of day": repeated([dt.time(1, 2, 3), None, None]),
    "times": repeated([DAY, None, DAY]),
    "times in a zone": repeated([DAY, DAY]).dt.replace_time_zone("Asia/Tokyo"),
    "durations": repeated([dt.timedelta(1), None], pl.Duration("ms")),
    "lists": repeated([[1, 2], None, []]),
    "arrays": repeated([[1, 2], None], pl.Array(pl.Int32, 2)),
    "structs": repeated([{"a": 1, "b": 2.5}, {"a": None, "b": None}]),
    "text in lists": repeated([["a", None], ["a text that is longer than twelve bytes"]]),
    "decimals": repeated([decimal.Decimal("1.25"), None]),
    "categories": repeated(["a", "b", None], pl.Categorical),
    "enumeration": repeated(["a", "b", None], pl.Enum(["b", "a"])),
    "categories in lists": repeated([["a"], ["b", None]], pl.List(pl.Categorical)),
    "128 bits": repeated([1, 2, None], pl.Int128),
    "nulls": repeated([None], pl.Null),
    "chunks": pl.concat([pl.Series("x", range(COUNT))] * 3, rechunk=False),
}
FRAME = pl.DataFrame({"a": range(COUNT), "f": [1.5] * COUNT, "s": [f"text number {i} of some" for i in range(COUNT)]})
FRAMES = {
    "frame": FRAME,
    "small": FRAME.head(3),
    "no rows": FRAME.clear(),
    "nothing": pl.DataFrame(),
    "mixed": FRAME.clone()
    .insert_column(1, repeated(["a", "b"], pl.Categorical))
    .with_columns(repeated(["a", "b"], pl.Enum(["a", "b"])).alias("e")),
    "one category": repeated(["a", "b"], pl.Categorical).to_frame(),
    "chunks": pl.concat([FRAME, FRAME], rechunk=False),
}


def places(frame):
    """Addresses of all buffers of some size."""
    table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    chunks = [chunk for column in table.columns for chunk in column.chunks]
    buffers = [buffer for chunk in chunks for buffer in chunk.buffers() if buffer is not None]
    return [buffer.address for buffer in buffers if buffer.size >= 4096]


@pytest.mark.parametrize("name", SERIES)
def test_a_series_comes_back_equal(through, name):
    series = SERIES[name]
    found = through([series])[0]
    assert (found.name, found.dtype) == (series.name, series.dtype)
    assert found.equals(series, check_dtypes=True, check_names=True, null_equal=True)


@pytest.mark.parametrize("name", FRAMES)
def test_a_frame_comes_back_equal(through, name):
    frame = FRAMES[name]
    found = through(frame)
    assert found.schema == frame.schema
    assert found.equals(frame, null_equal=True)


@pytest.mark.parametrize("name", ["numbers", "floats", "bool", "text", "bytes", "times", "lists", "structs", "chunks"])
def test_a_series_is_not_copied(trip, name):
    pytest.importorskip("pyarrow")
    series = SERIES[name]
    sent = trip(series)
    assert places(series.to_frame())
    assert all(map(sent.sent, places(series.to_frame())))
    assert all(map(sent.received, places(sent.found.to_frame())))


def test_a_frame_is_not_copied_but_for_columns_that_arrow_cannot_keep(trip):
    pytest.importorskip("pyarrow")
    sent = trip(FRAMES["mixed"])
    exact = ["a", "f", "s"]
    assert all(map(sent.sent, places(FRAMES["mixed"].select(exact))))
    assert all(map(sent.received, places(sent.found.select(exact))))


def test_a_small_part_of_a_frame_travels_alone(trip):
    for part in (FRAME.head(10), FRAME.filter(pl.col("a") % 1000 == 0), FRAME["s"].head(10)):
        sent = trip(part)
        assert sent.payload.nbytes < 10_000
        assert sent.found.equals(part)
    many = FRAME.select("s").sample(4000, seed=1)
    assert trip(many).payload.nbytes < 250_000


def test_without_pyarrow_frames_travel_as_polars_pickles_them(trip, monkeypatch):
    def fail(*_arguments, **_options):
        raise ImportError("pyarrow")

    monkeypatch.setattr(pl.DataFrame, "to_arrow", fail)
    assert trip([FRAME, FRAME["a"]]).found[0].equals(FRAME)


def test_a_frame_that_arrived_can_be_changed_without_changing_another(store):
    key = store.put(FRAME)
    first, second = store.get(key), store.get(key)
    first[0, "f"] = 99.0
    assert (first[0, "f"], second[0, "f"]) == (99.0, 1.5)


def test_a_lazy_frame_is_computed_after_it_arrived(through):
    assert through(FRAME.lazy().select(pl.col("a").sum())).collect().item() == sum(range(COUNT))
