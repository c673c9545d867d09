"""The operations that a proxy forwards, each with the callable that does it on the target.

Everything that Python looks up on the type must be here; everything that it looks up on the instance is
attribute access. tests/proxy/operations.toml lists both, and what is left out with its reason.
"""

from __future__ import annotations

import builtins
import math
import operator
import os
import sys
from functools import partial
from types import CoroutineType
from typing import TYPE_CHECKING, Any

from psk.proxy.fastpath import OPERATORS, fast_target_of
from psk.proxy.forms import Layout
from psk.proxy.target import UNRESOLVED, is_proxy, read_target, resolve_target, target_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FunctionType

# Protocols that have no function of their own in Python. Where a target lacks one, its own statement is run on it, for
# the interpreter's own error.


def _enter(target: Any) -> Any:
    """Do the first half of `with target`."""
    cls = type(target)
    if not (hasattr(cls, "__enter__") and hasattr(cls, "__exit__")):
        with target:
            pass
    return cls.__enter__(target)


def _async_enter(target: Any) -> Any:
    """Do the first half of `async with target`."""
    cls: Any = type(target)
    if not (hasattr(cls, "__aenter__") and hasattr(cls, "__aexit__")):
        return _refuse_async_with(target)
    return cls.__aenter__(target)


async def _refuse_async_with(target: Any) -> None:
    async with target:
        pass


def _iterator_of(target: Any) -> Any:
    """Return the iterator behind `await target`."""
    return _result_of(target).__await__()


async def _result_of(target: Any) -> Any:
    return await target


def _next(target: Any) -> Any:
    """Do `next(target)`."""
    # asyncio steps its tasks with `next` where it cannot see that they wrap a coroutine.
    return target.send(None) if type(target) is CoroutineType else next(target)


def _length_hint(target: Any) -> Any:
    """Return how many items an iterator has left, as far as it knows."""
    hint = operator.length_hint(target, -1)
    # The caller has the default.
    return NotImplemented if hint < 0 else hint


def _array_ufunc(_target: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """Call a numpy ufunc on the targets, whichever operands are proxies.

    See https://numpy.org/neps/nep-0013-ufunc-overrides.html for the protocol.
    """
    if options.get("out") is not None:
        options["out"] = tuple(map(_plain, options["out"]))
    return getattr(ufunc, method)(*map(_plain, inputs), **options)


def _plain(value: Any) -> Any:
    return target_of(value) if is_proxy(value) else value


OPERATIONS: dict[str, FunctionType] = {}
"""Every generated method of Proxy by name."""
_ARITHMETIC = ("add", "sub", "mul", "matmul", "truediv", "floordiv", "mod", "lshift", "rshift", "and", "xor", "or")


def _functions_of(module: Any, *names: str) -> dict[str, Callable[..., Any]]:
    """Return functions of a module by the special methods that are named after them."""
    return {f"__{name}__": getattr(module, name) for name in names}


def _define(make: Callable[[Callable[..., Any]], Any], functions: dict[str, Callable[..., Any]]) -> None:
    """Add methods, each made of the function that does the operation on the target."""
    for name, function in functions.items():
        method: FunctionType = make(function)
        method.__name__ = name
        method.__qualname__ = f"Proxy.{name}"
        method.__doc__ = f"Resolve the proxy if necessary, and apply {name} to its target."
        # So that tracebacks and profiles name the operation.
        method.__code__ = method.__code__.replace(co_name=name, co_qualname=method.__qualname__)
        OPERATIONS[name] = method


def _unary(function: Callable[..., Any]) -> Any:
    def method(self: Any, /) -> Any:
        target = read_target(self)
        return function(resolve_target(self) if target is UNRESOLVED else target)

    return method


_define(
    _unary,
    {
        **_functions_of(builtins, "str", "bytes", "dir", "bool", "iter", "reversed", "int", "float", "complex", "abs"),
        **_functions_of(builtins, "aiter", "anext"),
        **_functions_of(operator, "neg", "pos", "invert", "index"),
        **_functions_of(math, "trunc", "floor", "ceil"),
        "__fspath__": os.fspath,
        "__length_hint__": _length_hint,
        "__next__": _next,
        "__enter__": _enter,
        "__aenter__": _async_enter,
        "__await__": _iterator_of,
    },
)


def _binary(function: Callable[..., Any]) -> Any:
    # If `other` is a proxy, too, its target is taken: some C types look no further than the type of their right
    # operand, as in `"a" in "abc"`.
    def method(self: Any, other: Any, /) -> Any:
        target = read_target(self)
        if issubclass(type(other), Layout):
            other = target_of(other)
        return function(resolve_target(self) if target is UNRESOLVED else target, other)

    return method


_binary_functions: dict[str, Callable[..., Any]] = {
    **_functions_of(builtins, "format", "divmod"),
    **_functions_of(operator, "lt", "le", "ne", "gt", "ge", "contains", "delitem"),
    **{f"__{name}__": getattr(operator, f"__{name}__") for name in _ARITHMETIC},
}
if sys.version_info >= (3, 12):
    _binary_functions["__buffer__"] = lambda target, _flags: memoryview(target)
_define(_binary, _binary_functions)


def _reflected(function: Callable[..., Any]) -> Any:
    def method(self: Any, other: Any, /) -> Any:
        target = read_target(self)
        return function(other, resolve_target(self) if target is UNRESOLVED else target)

    return method


_define(_reflected, {f"__r{name}__": _binary_functions[f"__{name}__"] for name in (*_ARITHMETIC, "divmod")})


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


_define(_in_place, {f"__i{name}__": getattr(operator, f"__i{name}__") for name in (*_ARITHMETIC, "pow")})


def _variadic(function: Callable[..., Any], find_target: Callable[[Any], Any] = target_of) -> Any:
    def method(self: Any, /, *arguments: Any, **named: Any) -> Any:
        return function(find_target(self), *arguments, **named)

    return method


_define(
    _variadic,
    {
        **_functions_of(builtins, "round", "pow"),
        "__rpow__": lambda target, base, *modulus: pow(base, target, *modulus),
        "__setitem__": operator.setitem,
        "__exit__": lambda target, *error: type(target).__exit__(target, *error),
        "__aexit__": lambda target, *error: type(target).__aexit__(target, *error),
        "__array_ufunc__": _array_ufunc,
        "__instancecheck__": lambda target, value: isinstance(value, target),
        "__subclasscheck__": lambda target, value: issubclass(value, target),
    },
)


# Once the proxy is resolved, these become C calls (see fastpath.py).
_define(
    partial(_variadic, find_target=fast_target_of), {"__len__": len, **_functions_of(operator, "getitem", "eq", "call")}
)


def _operator(operate: Callable[..., Any]) -> Any:
    def method(self: Any, /, *operands: Any) -> Any:
        fast_target_of(self)
        return operate(self, *operands)

    method.__wrapped__ = operate  # type: ignore[attr-defined]  # for targets for which that is as fast as it gets
    return method


_define(_operator, {name: OPERATIONS[name] for name in OPERATORS})
