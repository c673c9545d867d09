"""Count the copies of an array, tensor or frame at put and at get, beside the channel's own.

Prints the table of docs/arrays.md. Each object is encoded, written into private memory as a channel would, and decoded
from there. Counted is the peak growth of the process meanwhile, as a multiple of the object.

    python benchmarks/copies.py [megabytes]

Needs numpy, scipy, pandas, pyarrow, polars and torch; rows of a library that is missing are left out.
"""

from __future__ import annotations

import ctypes
import gc
import os
import platform
import re
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from table import markdown

from psk.wire import Frames, Payload, allocate, decode, encode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

LIBRARIES = ("numpy", "scipy", "pandas", "pyarrow", "polars", "torch")
HEADER = ("object", "put", "get", "put, ms", "get, ms")
# Allocators that keep what was freed would hide a copy: it would fit where another one was.
FRUGAL = {
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_TRIM_THRESHOLD_": "0",
    "ARROW_DEFAULT_MEMORY_POOL": "system",
    "_RJEM_MALLOC_CONF": "dirty_decay_ms:0,muzzy_decay_ms:0",
    "MIMALLOC_PURGE_DELAY": "0",
}


class Own(np.ndarray):
    """Stand for the subclasses that psk does not know."""


class Copies(NamedTuple):
    """What one object cost.

    Attributes:
        name: Of the kind of object.
        put: Bytes that encoding took at its highest, as a multiple of the payload's.
        get: The same for decoding.
        put_time: Seconds that encoding took, without a checksum.
        get_time: Seconds that decoding took.
    """

    name: str
    put: float
    get: float
    put_time: float
    get_time: float

    def cells(self) -> tuple[str, ...]:
        """Return the row's texts for the table."""
        counts = (f"{abs(count):.0f}" if abs(count - round(count)) < 0.1 else f"{count:.1f}" for count in self[1:3])
        return self.name, *counts, *(f"{seconds * 1e3:.1f}" for seconds in self[3:])


def numpy_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    count = nbytes // 8
    side = int(count**0.5)
    yield "numpy.ndarray, contiguous in C or Fortran order", lambda: np.ones((side, side), order="F")
    yield "... with gaps", lambda: np.ones(2 * count)[::2]
    yield "... of datetime64, timedelta64", lambda: np.ones(count, "i8").view("M8[s]")
    yield "... of records", lambda: np.ones(count // 2, [("a", "i8"), ("b", "f8")])
    yield "... of objects", lambda: np.arange(count // 2).astype(object)
    yield "numpy.recarray, numpy.matrix", lambda: np.ones(count).view([("a", "f8")]).view(np.recarray)
    yield "numpy.ma.MaskedArray", lambda: np.ma.MaskedArray(np.ones(count), mask=np.zeros(count, "?"))
    yield "a subclass of the user's own", lambda: np.ones(count).view(Own)


def scipy_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    from scipy import sparse

    side = int((nbytes / 12) ** 0.5)
    yield "scipy.sparse: csr, csc, bsr, coo, dia", lambda: sparse.csr_array(np.ones((side, side)))
    yield "scipy.sparse: lil, dok", lambda: sparse.csr_array(np.ones((side // 2, side // 2))).tolil()


def pandas_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import pandas as pd

    count = nbytes // 8
    words = [f"a word, number {number}" for number in range(count // 4)]
    yield "pandas.DataFrame, Series of numbers", lambda: pd.DataFrame(np.ones((count // 4, 4)))
    yield "... of times, durations, periods", lambda: pd.Series(pd.date_range("2020", periods=count, freq="s"))
    yield "... of categories", lambda: pd.Series(pd.Categorical.from_codes(np.zeros(nbytes, "i1"), ["a", "b"]))
    yield "... of nullable numbers", lambda: pd.Series(np.ones(count, "i8")).astype("Int64")
    yield "... of text (str, in Arrow memory)", lambda: pd.Series(words, dtype="str")
    yield "... of objects, text among them", lambda: pd.Series(words, dtype=object)
    yield (
        "... with a MultiIndex",
        lambda: pd.Series(np.ones(count), index=pd.MultiIndex.from_product([range(count // 100), range(100)]))[
            : count // 100 * 100
        ],
    )


def pyarrow_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import pyarrow as pa

    count = nbytes // 8
    yield "pyarrow.Array, ChunkedArray, Buffer", lambda: pa.array(np.ones(count))
    yield "pyarrow.Table, RecordBatch", lambda: pa.table({"a": np.ones(count // 2), "b": np.ones(count // 2)})
    yield "... half of one, sliced", lambda: pa.table({"a": np.ones(2 * count)}).slice(count // 2, count)


def polars_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import polars as pl

    count = nbytes // 8
    words = pl.Series("words", [f"a word, number {number}" for number in range(count // 5)])
    yield "polars.DataFrame, Series of numbers, times", lambda: pl.DataFrame({"a": pl.zeros(count, eager=True)})
    yield "... of text", words.to_frame
    yield "... of categories, 128-bit integers", lambda: pl.zeros(count // 2, pl.Int128, eager=True)
    yield "... half of one, sliced", lambda: pl.DataFrame({"a": pl.zeros(2 * count, eager=True)}).slice(5, count)


def torch_objects(nbytes: int) -> Iterator[tuple[str, Callable[[], Any]]]:
    import torch

    count = nbytes // 4
    side = int(count**0.5)
    yield "torch.Tensor, contiguous, transposed or a part of another", lambda: torch.ones(2 * count)[count:]
    yield "... of bfloat16, float8, bool, complex", lambda: torch.ones(2 * count, dtype=torch.bfloat16)
    yield "... with gaps", lambda: torch.ones(side, 2 * side)[:, ::2]
    yield "torch.nn.Parameter, Module, state_dict", lambda: torch.nn.Linear(side, side)
    yield "... sparse", lambda: torch.ones(side // 2, side // 2).to_sparse()
    yield "... a subclass, or with attributes", lambda: _with_attribute(torch.ones(count))


def _with_attribute(tensor: Any) -> Any:
    tensor.origin = "here"
    return tensor


def measure(name: str, make: Callable[[], Any]) -> Copies:
    """Encode and decode one object, in the way of a put and a get."""
    obj = make()
    decode(encode(obj, checksum=False))  # imports what the first use imports
    payload, put, put_time = _growth(lambda: encode(obj, checksum=False))
    arrived = allocate(payload.nbytes)
    place = 0
    for buffer in payload.buffers():
        arrived[place : place + len(buffer)] = buffer
        place += len(buffer)
    nbytes = payload.nbytes
    del payload
    _, get, get_time = _growth(lambda: decode(Payload.parse(Frames([arrived]))))
    return Copies(name, put / nbytes, get / nbytes, put_time, get_time)


def measurements(nbytes: int) -> Iterator[Copies]:
    """Measure every kind of object whose library is here, each of so many bytes."""
    for library in LIBRARIES:
        try:
            version(library)
        except PackageNotFoundError:
            print(f"without {library}, which is not installed", file=sys.stderr)
            continue
        for name, make in globals()[f"{library}_objects"](nbytes):
            yield measure(name, make)


def versions() -> str:
    """Name what was measured with."""
    found = [f"{name} {version(name)}" for name in LIBRARIES if _is_installed(name)]
    return ", ".join([f"Python {platform.python_version()}", *found])


def _growth(work: Callable[[], Any]) -> tuple[Any, int, float]:
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # proc(5): resets the highest resident size
    before = _status("VmRSS")
    start = perf_counter()
    result = work()
    seconds = perf_counter() - start
    return result, _status("VmHWM") - before, seconds


def _status(field: str) -> int:
    found = re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found
    return int(found[1]) * 1024


def _is_installed(library: str) -> bool:
    try:
        version(library)
    except PackageNotFoundError:
        return False
    return True


def main() -> None:
    if any(os.environ.get(name) != value for name, value in FRUGAL.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], {**os.environ, **FRUGAL})  # noqa: S606  # itself, once more
    megabytes = int(sys.argv[1]) if len(sys.argv) > 1 else 64
    rows = [copies.cells() for copies in measurements(megabytes * 1_000_000)]
    print(f"{versions()}; objects of {megabytes} MB\n")
    print(markdown(HEADER, rows))


if __name__ == "__main__":
    main()
