"""Reduce numpy arrays to their memory, type and shape."""

from __future__ import annotations

from pickle import PickleBuffer
from typing import Any

import numpy as np

from psk.arrays import PROTOCOL

# Types that their own name describes in full, in this machine's byte order.
_NAMES = {dtype: dtype.str for dtype in map(np.dtype, "?bBhHiIlLqQefdgFDG")}


def reduce_array(array: np.ndarray[Any, Any]) -> Any:
    """Reduce an array to its memory, the name of its type, and its shape.

    numpy does the same for contiguous arrays, in twice the time. It copies times and arrays that are not contiguous
    twice; here, an array with gaps is copied once.
    """
    memory: Any = array  # whose type the stubs know as a buffer only from Python 3.12 on
    dtype = array.dtype
    name = _NAMES.get(dtype)
    flags = array.flags
    if name is not None and dtype.metadata is None:
        if flags.c_contiguous:
            return rebuild_array, (PickleBuffer(memory), name, array.shape)
        if flags.f_contiguous:
            return rebuild_array, (PickleBuffer(memory), name, array.shape, "F")
    if dtype.hasobject or not dtype.itemsize or dtype.kind not in "?biufcmMSUV":
        return array.__reduce_ex__(PROTOCOL)
    if not (flags.c_contiguous or flags.f_contiguous):
        return reduce_array(array.copy(order="C"))
    if dtype.kind in "mM" and dtype.metadata is None:  # the buffer protocol has no format for times
        order = "C" if flags.c_contiguous else "F"
        return rebuild_array, (PickleBuffer(memory.view("i8")), dtype.str, array.shape, order)
    return array.__reduce_ex__(PROTOCOL)


def reduce_masked(array: np.ma.MaskedArray[Any, Any]) -> Any:
    """Reduce a masked array to its data and its mask, each reduced as an array."""
    if array.baseclass is not np.ndarray:
        return array.__reduce_ex__(PROTOCOL)
    # Asking for `fill_value` would set it.
    fill = array._fill_value  # type: ignore[attr-defined]  # noqa: SLF001
    mask = None if array.mask is np.ma.nomask else np.asarray(array.mask)
    return rebuild_masked, (np.asarray(array.data), mask, fill, array.hardmask)


def reduce_view(array: np.ndarray[Any, Any]) -> Any:
    """Reduce a record array, matrix or memory map to a plain array and its class."""
    return rebuild_view, (array.view(np.ndarray), type(array))


def rebuild_array(
    buffer: Any, dtype: str, shape: tuple[int, ...], order: Any = "C", make: Any = np.ndarray
) -> np.ndarray[Any, Any]:
    """Return the array over its memory; as read-only as that is."""
    return make(shape, dtype, buffer, 0, None, order)  # type: ignore[no-any-return]  # np.ndarray


def rebuild_masked(data: np.ndarray[Any, Any], mask: Any, fill: Any, hard: bool) -> np.ma.MaskedArray[Any, Any]:
    """Return the masked array over its data and mask."""
    kept: Any = np.ma.nomask if mask is None else mask
    return np.ma.MaskedArray(data, mask=kept, fill_value=fill, hard_mask=hard, copy=False)


def rebuild_view(array: np.ndarray[Any, Any], kind: type[np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
    """Return the array as the class that it had."""
    return array.view(kind)


REDUCERS = {
    np.ndarray: reduce_array,
    np.ma.MaskedArray: reduce_masked,
    np.matrix: reduce_view,
    np.memmap: reduce_view,
    np.recarray: reduce_view,
}
