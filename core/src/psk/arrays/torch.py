"""Encode torch tensors as the memory that their elements span, their sizes and their strides."""

from __future__ import annotations

import struct
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any

import torch

from psk.arrays import PROTOCOL
from psk.errors import PayloadError, SerializationError
from psk.wire import Codec

if TYPE_CHECKING:
    from psk.wire import Frame

_HEAD = struct.Struct("<BBB")  # flags, dimensions, length of the type's name
_NEEDS_GRADIENT = 1
_IS_PARAMETER = 2
# Payloads contain these names, which are looked up in this table only.
_NAMES = (
    *("bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"),
    *("float16", "bfloat16", "float32", "float64", "complex32", "complex64", "complex128"),
    *("float8_e4m3fn", "float8_e5m2", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"),
)
_TYPES = {name: getattr(torch, name) for name in _NAMES if hasattr(torch, name)}
# Gone from newer versions of torch, and the names of dimensions with it.
_has_names = getattr(torch.Tensor, "has_names", lambda _tensor: False)
_name_of = {dtype: name for name, dtype in _TYPES.items()}


def is_plain(tensor: Any) -> bool:
    """Tell whether a tensor or parameter consists only of elements in this process's memory."""
    return (
        tensor.layout is torch.strided
        and tensor.device.type == "cpu"
        and tensor.dtype in _name_of
        and not (tensor.is_conj() or tensor.is_neg() or _has_names(tensor))
        and not tensor.__dict__
        and not tensor._backward_hooks  # noqa: SLF001  # torch's own pickling asks the same
    )


def reduce_tensor(tensor: Any) -> Any:
    """Reduce a tensor to its memory; torch pickles it if it is sparse, quantized, on a device, or has attributes."""
    if not is_plain(tensor):
        return tensor.__reduce_ex__(PROTOCOL)
    memory, *parts = _parts_of(tensor)
    return rebuild_tensor, (PickleBuffer(memory), *parts, tensor.requires_grad)


def rebuild_tensor(
    buffer: Any, name: str, size: tuple[int, ...], strides: tuple[int, ...], needs_gradient: bool = False
) -> Any:
    """Return the tensor over its memory, which becomes the tensor's own.

    Raises:
        PayloadError: The memory is not what sizes and strides span, or this version of torch lacks the type.
    """
    dtype = _TYPES.get(name)
    if dtype is None:
        raise PayloadError(f"torch {torch.__version__} has no elements of type {name[:32]!r}", found=sorted(_TYPES))
    view = memoryview(buffer)
    count, rest = divmod(view.nbytes, dtype.itemsize)
    if rest or count != _span(size, strides) or len(size) != len(strides):
        raise PayloadError(f"a tensor of sizes {size} and strides {strides} cannot have {view.nbytes} bytes")
    if not count:
        tensor = torch.empty_strided(size, strides, dtype=dtype)
    else:
        # torch has no read-only memory, so shared memory must be copied.
        tensor = torch.frombuffer(bytearray(view) if view.readonly else view, dtype=dtype).as_strided(size, strides)
    return tensor.requires_grad_() if needs_gradient else tensor


def _parts_of(tensor: Any) -> tuple[Any, str, tuple[int, ...], tuple[int, ...]]:
    """Return a tensor's memory, the name of its elements' type, its sizes and its strides."""
    # Transposed, expanded and overlapping tensors leave no gaps, so they need no copy. A tensor with gaps is copied:
    # it may be a small part of a large one, which torch's own pickling would send as a whole.
    tensor = tensor.detach()
    strides = tensor.stride()
    span = _span(tensor.shape, strides)
    if span > tensor.numel():
        tensor = tensor.contiguous()
        strides, span = tensor.stride(), tensor.numel()
    flat = tensor.as_strided((span,), (1,), tensor.storage_offset())
    return flat.view(torch.uint8).numpy(), _name_of[tensor.dtype], tuple(tensor.shape), strides


def _span(size: tuple[int, ...], strides: tuple[int, ...]) -> int:
    if 0 in size:
        return 0
    return 1 + sum((length - 1) * stride for length, stride in zip(size, strides, strict=False))


def _encode(obj: Any) -> list[Frame]:
    if type(obj) not in (torch.Tensor, torch.nn.Parameter) or not is_plain(obj):
        raise SerializationError(
            f"an object of type {type(obj).__qualname__} is not a plain tensor in this process's memory",
            remedy="omit the codec, and it is pickled",
        )
    memory, name, sizes, strides = _parts_of(obj)
    flags = (_NEEDS_GRADIENT if obj.requires_grad else 0) | (_IS_PARAMETER if type(obj) is not torch.Tensor else 0)
    head = _HEAD.pack(flags, len(sizes), len(name)) + name.encode()
    return [head + struct.pack(f"<{2 * len(sizes)}Q", *sizes, *strides), memoryview(memory)]


def _decode(frames: list[memoryview]) -> Any:
    head, memory = frames
    flags, dimensions, length = _HEAD.unpack_from(head)
    end = _HEAD.size + length
    numbers = struct.unpack(f"<{2 * dimensions}Q", head[end:])
    name = str(head[_HEAD.size : end], "ascii")
    tensor = rebuild_tensor(memory, name, numbers[:dimensions], numbers[dimensions:])
    needs_gradient = bool(flags & _NEEDS_GRADIENT)
    if flags & _IS_PARAMETER:
        return torch.nn.Parameter(tensor, requires_grad=needs_gradient)
    return tensor.requires_grad_() if needs_gradient else tensor


CODEC = Codec("torch", _encode, _decode, raw=True, accepts=is_plain)
REDUCERS = {torch.Tensor: reduce_tensor}
