"""Compute statistics of one large array in many tasks, the array passed by value or by proxy.

By value the array is pickled, sent and unpickled once per task. By proxy it is stored once, and each
task gets a reference of about a hundred bytes. The tasks are the same.

    python examples/fan_out.py [--by proxy|value] [--executor process|thread|fork] [--megabytes 200]
"""

from __future__ import annotations

from itertools import product, repeat
from typing import TYPE_CHECKING

import numpy as np
from channel import temporary_store
from executors import open_executor, option_parser

if TYPE_CHECKING:
    from concurrent.futures import Executor

    from numpy.typing import NDArray

    from psk import ProxyOr, Store

    Array = NDArray[np.float64]

TITLE = "Fan-out: statistics of the rows and columns of one large array"
STATISTICS = ("mean", "sum", "min", "max")
COLUMNS = 5_000


def statistic(array: Array, name: str, axis: int) -> Array:
    return getattr(array, name)(axis=axis)


def fan_out(executor: Executor, array: ProxyOr[Array]) -> list[Array]:
    """Compute each statistic of each column (axis 0) and of each row (axis 1), one task per kind."""
    names, axes = zip(*product(STATISTICS, (0, 1)), strict=True)
    return list(executor.map(statistic, repeat(array), names, axes))


def by_value(executor: Executor, array: Array) -> list[Array]:
    return fan_out(executor, array)


def by_proxy(executor: Executor, store: Store, array: Array) -> list[Array]:
    return fan_out(executor, store.proxy(array))


def same(left: list[Array], right: list[Array]) -> bool:
    return all(map(np.array_equal, left, right))


def make_input(megabytes: int) -> Array:
    """Return an array of float64 that fills so many megabytes, with a row of 5,000 values per 40 kB."""
    return np.random.default_rng(seed=1).random((megabytes * 25, COLUMNS))


def describe(results: list[Array]) -> str:
    column_means, row_means, *_ = results
    return f"{len(results)} statistics; means of columns {spread(column_means)}, of rows {spread(row_means)}"


def spread(values: Array) -> str:
    return f"from {values.min():.4f} to {values.max():.4f}"


def main() -> None:
    parser = option_parser(__doc__)
    parser.add_argument("--by", choices=("proxy", "value"), default="proxy", help="how the array is passed")
    parser.add_argument("--megabytes", type=int, default=200, help="size of the array; default 200")
    options = parser.parse_args()
    array = make_input(options.megabytes)
    with temporary_store() as store, open_executor(options.executor, options.workers) as executor:
        results = by_value(executor, array) if options.by == "value" else by_proxy(executor, store, array)
    print(f"{array.nbytes / 1e6:,.0f} MB: {describe(results)}")


if __name__ == "__main__":
    main()
