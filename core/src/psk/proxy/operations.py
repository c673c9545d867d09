"""Which operations does a proxy forward, and to what? One line each: the name, and a callable of the target.

Everything that Python looks up on the type must be here; everything that it looks up on the instance is
attribute access. tests/proxy/operations.toml lists both, and what is left out with its reason.
"""

from __future__ import annotations

import math
import operator
import os
import sys
from typing import TYPE_CHECKING, Any

from psk.proxy.layout import UNRESOLVED, Layout, read_target
from psk.proxy.protocols import (
    array_ufunc,
    async_enter,
    async_exit,
    await_,
    enter,
    exit_,
    length_hint,
    next_,
)
from psk.proxy.resolution import resolve_target, target_of
from psk.proxy.resolved import fast_target_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

# Called as function(target).
UNARY: dict[str, Callable[..., Any]] = {
    "__str__": str,
    "__bytes__": bytes,
    "__fspath__": os.fspath,
    "__dir__": dir,
    "__bool__": bool,
    "__length_hint__": length_hint,
    "__iter__": iter,
    "__next__": next_,
    "__reversed__": reversed,
    "__neg__": operator.neg,
    "__pos__": operator.pos,
    "__abs__": abs,
    "__invert__": operator.invert,
    "__int__": int,
    "__float__": float,
    "__complex__": complex,
    "__index__": operator.index,
    "__trunc__": math.trunc,
    "__floor__": math.floor,
    "__ceil__": math.ceil,
    "__enter__": enter,
    "__await__": await_,
    "__aiter__": aiter,
    "__anext__": anext,
    "__aenter__": async_enter,
}

# Called as function(target, other), where other is the target if that is a proxy, too: some C types look no
# further than the type of their right operand, as in `"a" in "abc"`.
BINARY: dict[str, Callable[..., Any]] = {
    "__format__": format,
    "__lt__": operator.lt,
    "__le__": operator.le,
    "__ne__": operator.ne,
    "__gt__": operator.gt,
    "__ge__": operator.ge,
    "__contains__": operator.contains,
    "__delitem__": operator.delitem,
    "__add__": operator.add,
    "__sub__": operator.sub,
    "__mul__": operator.mul,
    "__matmul__": operator.matmul,
    "__truediv__": operator.truediv,
    "__floordiv__": operator.floordiv,
    "__mod__": operator.mod,
    "__divmod__": divmod,
    "__lshift__": operator.lshift,
    "__rshift__": operator.rshift,
    "__and__": operator.and_,
    "__xor__": operator.xor,
    "__or__": operator.or_,
}
if sys.version_info >= (3, 12):
    BINARY["__buffer__"] = lambda target, _flags: memoryview(target)

# Called as function(other, target).
REFLECTED: dict[str, Callable[..., Any]] = {
    "__radd__": operator.add,
    "__rsub__": operator.sub,
    "__rmul__": operator.mul,
    "__rmatmul__": operator.matmul,
    "__rtruediv__": operator.truediv,
    "__rfloordiv__": operator.floordiv,
    "__rmod__": operator.mod,
    "__rdivmod__": divmod,
    "__rlshift__": operator.lshift,
    "__rrshift__": operator.rshift,
    "__rand__": operator.and_,
    "__rxor__": operator.xor,
    "__ror__": operator.or_,
}

# Called as function(target, other), like BINARY.
IN_PLACE: dict[str, Callable[..., Any]] = {
    "__iadd__": operator.iadd,
    "__isub__": operator.isub,
    "__imul__": operator.imul,
    "__imatmul__": operator.imatmul,
    "__itruediv__": operator.itruediv,
    "__ifloordiv__": operator.ifloordiv,
    "__imod__": operator.imod,
    "__ipow__": operator.ipow,
    "__ilshift__": operator.ilshift,
    "__irshift__": operator.irshift,
    "__iand__": operator.iand,
    "__ixor__": operator.ixor,
    "__ior__": operator.ior,
}

# Called as function(target, *arguments).
VARIADIC: dict[str, Callable[..., Any]] = {
    "__round__": round,
    "__pow__": pow,
    "__rpow__": lambda target, base, *modulus: pow(base, target, *modulus),
    "__setitem__": operator.setitem,
    "__exit__": exit_,
    "__aexit__": async_exit,
    "__array_ufunc__": array_ufunc,
    "__instancecheck__": lambda target, value: isinstance(value, target),
    "__subclasscheck__": lambda target, value: issubclass(value, target),
}

# Called as function(target, *arguments); once the proxy is resolved they become C calls (see resolved.py).
FAST: dict[str, Callable[..., Any]] = {
    "__len__": len,
    "__getitem__": operator.getitem,
    "__eq__": operator.eq,
    "__call__": operator.call,
}


def _unary(function: Callable[..., Any]) -> Any:
    def method(self: Any, /) -> Any:
        target = read_target(self)
        return function(resolve_target(self) if target is UNRESOLVED else target)

    return method


def _binary(function: Callable[..., Any]) -> Any:
    def method(self: Any, other: Any, /) -> Any:
        target = read_target(self)
        if isinstance(other, Layout):
            other = target_of(other)
        return function(resolve_target(self) if target is UNRESOLVED else target, other)

    return method


def _reflected(function: Callable[..., Any]) -> Any:
    def method(self: Any, other: Any, /) -> Any:
        target = read_target(self)
        return function(other, resolve_target(self) if target is UNRESOLVED else target)

    return method


def _in_place(function: Callable[..., Any]) -> Any:
    def method(self: Any, other: Any, /) -> Any:
        target = target_of(self)
        result = function(target, target_of(other) if isinstance(other, Layout) else other)
        # A target that changed itself stays behind its proxy; a new object (3 += 1) takes the proxy's place,
        # since other names for the proxy must keep the old value. A subclass may decide otherwise.
        if result is target:
            return self
        rebind = type(self).__proxy_rebind__
        return result if rebind is None else rebind(self, result)

    return method


def _variadic(function: Callable[..., Any]) -> Any:
    def method(self: Any, /, *arguments: Any, **named: Any) -> Any:
        return function(target_of(self), *arguments, **named)

    return method


def _fast(function: Callable[..., Any]) -> Any:
    def method(self: Any, /, *arguments: Any, **named: Any) -> Any:
        return function(fast_target_of(self), *arguments, **named)

    return method


TABLES: tuple[tuple[dict[str, Callable[..., Any]], Callable[[Callable[..., Any]], Any]], ...] = (
    (UNARY, _unary),
    (BINARY, _binary),
    (REFLECTED, _reflected),
    (IN_PLACE, _in_place),
    (VARIADIC, _variadic),
    (FAST, _fast),
)


def methods() -> dict[str, Any]:
    """Return every generated method of Proxy by name."""
    return {name: _named(make(function), name) for table, make in TABLES for name, function in table.items()}


def _named(method: FunctionType, name: str) -> FunctionType:
    method.__name__ = name
    method.__qualname__ = f"Proxy.{name}"
    method.__doc__ = f"Resolve the proxy if need be and do what {name} does on its target."
    # So that tracebacks and profiles name the operation.
    method.__code__ = method.__code__.replace(co_name=name, co_qualname=method.__qualname__)
    return method
