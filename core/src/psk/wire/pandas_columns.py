"""How does a pandas column in Arrow memory travel without being copied? As the chunks that it consists of."""

from __future__ import annotations

import copyreg
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    from psk.wire.libraries import Reducer

    pd = cast("Any", None)  # whether it is installed where types are checked must make no difference
else:
    import pandas as pd

_PROTOCOL = 5
_COLUMN = "_pa_array"


def reducers() -> dict[type, Reducer]:
    """Return how the columns are reduced whose pickling by pandas copies them; text is among them."""
    return dict.fromkeys((pd.arrays.ArrowExtensionArray, pd.arrays.ArrowStringArray), reduce_column)


def reduce_column(column: Any) -> Any:
    """Reduce a column as pandas does, but with its chunks as they are.

    pandas copies them into one, because a chunk may be a small slice of something large
    (https://github.com/pandas-dev/pandas/issues/42600); `psk.wire.arrow` cuts such slices off.
    """
    state = dict(vars(column))
    chunks = getattr(state.get(_COLUMN), "chunks", None)
    if not chunks:
        return column.__reduce_ex__(_PROTOCOL)
    state[_COLUMN] = chunks
    if "_cache" in state:
        state["_cache"] = {}
    return copyreg.__newobj__, (type(column),), state  # type: ignore[attr-defined]  # what object.__reduce_ex__ uses
