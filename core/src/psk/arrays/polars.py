"""Reduce polars frames and series to the Arrow columns that they consist of."""

from __future__ import annotations

from typing import Any

import polars as pl

from psk.arrays import PROTOCOL, is_wasteful

# Below, polars' own pickling is as fast, and its reader needs no pyarrow.
_ARROW_FROM = 64 * 1024
_VIEW_SIZE = 16
# Neither Categorical, Enum, Object nor 128-bit integers come back from Arrow as they were.
_NAMES = (
    *("Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float16", "Float32", "Float64"),
    *("Boolean", "String", "Binary", "Date", "Datetime", "Duration", "Time"),
)
_EXACT = frozenset(getattr(pl, name) for name in _NAMES if hasattr(pl, name))
_TEXT = (pl.String, pl.Binary)


def reduce_frame(frame: Any) -> Any:
    """Reduce a frame to an Arrow table and the columns that Arrow cannot keep exactly.

    A frame that is small, or a small slice of something large, is pickled as polars does: that copies what it needs.
    """
    if frame.estimated_size() < _ARROW_FROM:
        return frame.__reduce_ex__(PROTOCOL)
    others = {place: column for place, column in enumerate(frame.iter_columns()) if not _is_exact(column.dtype)}
    exact = frame.drop([column.name for column in others.values()])
    table = _table_of(exact)
    if table is None:
        return frame.__reduce_ex__(PROTOCOL)
    return rebuild_frame, (table, others)


def reduce_series(series: Any) -> Any:
    """Reduce a series to an Arrow table of one column, or as polars does under the same conditions as a frame."""
    table = None
    if series.estimated_size() >= _ARROW_FROM and _is_exact(series.dtype):
        table = _table_of(series.to_frame())
    if table is None:
        return series.__reduce_ex__(PROTOCOL)
    return rebuild_series, (table,)


def rebuild_frame(table: Any, others: dict[int, Any]) -> Any:
    """Return the frame over its table's memory, with the other columns in their places."""
    frame = pl.from_arrow(table, rechunk=False)
    for place, column in sorted(others.items()):
        frame.insert_column(place, column)
    return frame


def rebuild_series(table: Any) -> Any:
    """Return the series over the memory of its table's only column."""
    return pl.from_arrow(table, rechunk=False).to_series()


def _table_of(frame: Any) -> Any:
    if not frame.width:
        return None
    try:
        table = frame.to_arrow(compat_level=pl.CompatLevel.newest())
    except ImportError:  # it needs pyarrow
        return None
    # The estimate counts the characters of text, not the views by which Arrow finds them.
    used = frame.estimated_size() + _VIEW_SIZE * frame.height * sum(kind in _TEXT for kind in frame.dtypes)
    return None if is_wasteful(table.get_total_buffer_size(), used) else table


def _is_exact(dtype: Any) -> bool:
    inner = getattr(dtype, "inner", None)
    if inner is not None:
        return dtype.base_type() in (pl.List, pl.Array) and _is_exact(inner)
    fields = getattr(dtype, "fields", None)
    if fields is not None:
        return dtype.base_type() is pl.Struct and all(_is_exact(field.dtype) for field in fields)
    return dtype.base_type() in _EXACT


REDUCERS = {pl.DataFrame: reduce_frame, pl.Series: reduce_series}
