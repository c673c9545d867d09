"""Reduce slices of Arrow data without the rest of the buffers that they were cut from."""

from __future__ import annotations

from typing import Any

import pyarrow as pa

from psk.arrays import PROTOCOL, is_wasteful


def reduce_columns(columns: Any) -> Any:
    """Reduce an array, chunked array or batch as pyarrow does, but after cutting off what it does not use.

    pyarrow pickles whole buffers, however small the slice (https://github.com/apache/arrow/issues/26685).
    """
    if has_waste(columns):
        columns = compacted(columns)
    return columns.__reduce_ex__(PROTOCOL)


def has_waste(columns: Any) -> bool:
    """Tell whether a good part of the buffers behind an array, chunked array or batch is not used by it."""
    held = columns.get_total_buffer_size()
    if not is_wasteful(held, 0):
        return False
    try:
        used = columns.nbytes
    except pa.ArrowException:  # some layouts do not support it
        return False
    return is_wasteful(held, used)


def compacted(columns: Any) -> Any:
    """Return equal columns whose buffers hold nothing else, as written by Arrow's format for streams."""
    if isinstance(columns, pa.ChunkedArray):
        return pa.chunked_array([compacted(chunk) for chunk in columns.chunks], columns.type)
    is_batch = isinstance(columns, pa.RecordBatch)
    batch = columns if is_batch else pa.record_batch([columns], names=[""])
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:  # with a stream's dictionaries
        writer.write_batch(batch)
    with pa.ipc.open_stream(sink.getvalue()) as reader:
        received = reader.read_next_batch()
    return received if is_batch else received.column(0)


# Tables are pickled as chunked arrays.
REDUCERS = {pa.ChunkedArray: reduce_columns, pa.RecordBatch: reduce_columns} | {
    kind: reduce_columns for kind in vars(pa.lib).values() if isinstance(kind, type) and issubclass(kind, pa.Array)
}
