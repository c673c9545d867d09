"""What do the protocols do that have no function of their own in Python: `with`, `await`, numpy's ufuncs?"""

from __future__ import annotations

import operator
from types import CoroutineType
from typing import Any

from psk.proxy.layout import is_proxy
from psk.proxy.resolution import target_of

# Where a target lacks the protocol, its own statement is run on it, for the interpreter's own error.


def enter(target: Any) -> Any:
    """Do the first half of `with target`."""
    cls = type(target)
    if not (hasattr(cls, "__enter__") and hasattr(cls, "__exit__")):
        with target:
            pass
    return cls.__enter__(target)


def exit_(target: Any, *error: Any) -> Any:
    """Do the second half of `with target`."""
    return type(target).__exit__(target, *error)


def async_enter(target: Any) -> Any:
    """Do the first half of `async with target`."""
    cls: Any = type(target)
    if not (hasattr(cls, "__aenter__") and hasattr(cls, "__aexit__")):
        return _refuse_async_with(target)
    return cls.__aenter__(target)


async def _refuse_async_with(target: Any) -> None:
    async with target:
        pass


def async_exit(target: Any, *error: Any) -> Any:
    """Do the second half of `async with target`."""
    return type(target).__aexit__(target, *error)


def await_(target: Any) -> Any:
    """Return the iterator behind `await target`."""
    return _await(target).__await__()


async def _await(target: Any) -> Any:
    return await target


def next_(target: Any) -> Any:
    """Do `next(target)`."""
    # asyncio steps its tasks with `next` where it cannot see that they wrap a coroutine.
    return target.send(None) if type(target) is CoroutineType else next(target)


def length_hint(target: Any) -> Any:
    """Return how many items an iterator has left, as far as it knows."""
    hint = operator.length_hint(target, -1)
    # It is the caller who knows the default.
    return NotImplemented if hint < 0 else hint


def array_ufunc(_target: Any, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
    """Call a numpy ufunc on the targets, whichever operands are proxies.

    See https://numpy.org/neps/nep-0013-ufunc-overrides.html for the protocol.
    """
    if options.get("out") is not None:
        options["out"] = tuple(map(_plain, options["out"]))
    return getattr(ufunc, method)(*map(_plain, inputs), **options)


def _plain(value: Any) -> Any:
    return target_of(value) if is_proxy(value) else value
