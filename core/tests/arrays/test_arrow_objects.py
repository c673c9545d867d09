"""Store columns and tables of pyarrow, and count the copies."""

import datetime as dt
import decimal

import pytest

pa = pytest.importorskip("pyarrow")

COUNT = 5000
NUMBERS = pa.array(range(COUNT))
TEXT = pa.array([None if i % 7 == 0 else f"word {i}" for i in range(COUNT)])
ARRAYS = {
    "numbers": NUMBERS,
    "with nulls": pa.array([None, 1.5, 2.5] * 2000),
    "text": TEXT,
    "large text": TEXT.cast(pa.large_string()),
    "text views": TEXT.cast(pa.string_view()),
    "bool": pa.array([True, None, False] * 20_000),
    "dictionary": TEXT.dictionary_encode(),
    "lists": pa.array([[1, 2], None, []] * 2000),
    "fixed lists": pa.array([[1, 2], None, [3, 4]] * 2000, pa.list_(pa.int64(), 2)),
    "structs": pa.array([{"a": 1, "b": "x"}, None] * 2000),
    "maps": pa.array([[("a", 1)], None] * 2000, pa.map_(pa.string(), pa.int64())),
    "times": pa.array([dt.datetime(2020, 1, 1, tzinfo=dt.UTC)] * COUNT),
    "decimals": pa.array([decimal.Decimal("1.25"), None] * 2000),
    "nothing": pa.nulls(COUNT),
    "empty": pa.array([], pa.int64()),
    "runs": pa.RunEndEncodedArray.from_arrays([1000, COUNT], ["a", "b"]),
}
TABLE = pa.table({"n": NUMBERS, "t": TEXT, "d": TEXT.dictionary_encode()})
TABLES = {
    "table": TABLE,
    "with metadata": TABLE.replace_schema_metadata({"unit": "m"}),
    "chunks": pa.concat_tables([TABLE.select(["n", "t"])] * 3),
    "no rows": TABLE.slice(0, 0),
    "no columns": pa.table({}),
    "batch": pa.record_batch({"n": NUMBERS, "t": TEXT}),
    "chunked array": pa.chunked_array([TEXT, TEXT.slice(3, 5), TEXT]),
}


def addresses(columns):
    """Addresses of all buffers of some size behind an array, batch or table."""
    if isinstance(columns, pa.Array):
        return [buffer.address for buffer in columns.buffers() if buffer is not None and buffer.size >= 4096]
    parts = columns.chunks if isinstance(columns, pa.ChunkedArray) else columns.columns
    return [address for part in parts for address in addresses(part)]


@pytest.mark.parametrize("name", [*ARRAYS, *TABLES])
def test_columns_come_back_equal(through, name):
    columns = {**ARRAYS, **TABLES}[name]
    found = through(columns)
    assert type(found) is type(columns)
    found.validate(full=True)
    assert found.equals(columns)
    if name in TABLES and name != "chunked array":
        assert found.schema.equals(columns.schema, check_metadata=True)


@pytest.mark.parametrize(
    "name", ["numbers", "with nulls", "text", "large text", "text views", "lists", "table", "batch"]
)
def test_columns_are_not_copied(trip, name):
    columns = {**ARRAYS, **TABLES}[name]
    sent = trip(columns)
    assert addresses(columns)
    assert all(map(sent.sent, addresses(columns)))
    assert all(map(sent.received, addresses(sent.found)))


@pytest.mark.parametrize("name", sorted({*ARRAYS, *TABLES} - {"no columns"}))
def test_a_small_slice_comes_back_equal(trip, name):
    columns = {**ARRAYS, **TABLES}[name]
    part = columns.slice(len(columns) // 2, 3)
    found = trip([part]).found[0]
    found.validate(full=True)
    assert found.equals(part)


@pytest.mark.parametrize("name", ["numbers", "text", "bool", "lists", "structs", "times", "chunks", "batch"])
def test_a_slice_travels_without_the_rest(trip, name):
    columns = {**ARRAYS, **TABLES}[name]
    part = columns.slice(100, 3)
    whole, alone = trip(columns).payload.nbytes, trip(part).payload.nbytes
    assert alone < max(whole / 5, 20_000)


def test_a_large_slice_is_sent_rather_than_copied(trip):
    most = pa.array(range(1_000_000)).slice(1, 950_000)
    sent = trip(most)
    assert sent.sent(most.buffers()[1].address)
    assert sent.found.equals(most)


def test_a_buffer_is_not_copied(trip):
    buffer = pa.py_buffer(bytes(10_000))
    sent = trip(buffer)
    assert sent.sent(buffer.address)
    assert sent.received(sent.found.address)
