"""Reduce pandas columns in Arrow memory to the chunks that they consist of."""

from __future__ import annotations

import copyreg
from typing import Any

import pandas as pd

from psk.arrays import PROTOCOL

_COLUMN = "_pa_array"


def reduce_column(column: Any) -> Any:
    """Reduce a column as pandas does, but with its chunks as they are.

    pandas copies them into one, because a chunk may be a small slice of something large
    (https://github.com/pandas-dev/pandas/issues/42600); `psk.arrays.arrow` cuts such slices out.
    """
    state = dict(vars(column))
    chunks = getattr(state.get(_COLUMN), "chunks", None)
    if not chunks:
        return column.__reduce_ex__(PROTOCOL)
    state[_COLUMN] = chunks
    if "_cache" in state:
        state["_cache"] = {}
    return copyreg.__newobj__, (type(column),), state  # type: ignore[attr-defined]  # what object.__reduce_ex__ uses


REDUCERS = {pd.arrays.ArrowExtensionArray: reduce_column, pd.arrays.ArrowStringArray: reduce_column}
