"""Policies that select the objects to proxy: by type, by size, always, never, and their combinations."""

from __future__ import annotations

import operator
import sys
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

from psk import Proxy
from psk.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable

#: Below this many bytes a proxy and its round trip cost more than they save.
DEFAULT_BYTES = 100_000


class Policy(ABC):
    """A predicate over objects that can be combined: `ProxySize(10_000) & ~ProxyType(str)`.

    Any other predicate can be used as a policy; `&` and `|` accept one on either side. A policy can be pickled if its
    parts can. A proxy is never proxied again.
    """

    __slots__ = ()

    def __call__(self, obj: Any) -> bool:
        """Return whether to proxy an object; a proxy is not resolved to find out."""
        # Not `is_proxy`, which is a call more: an executor asks this about every argument.
        return not issubclass(type(obj), Proxy) and self.accepts(obj)

    @abstractmethod
    def accepts(self, obj: Any) -> bool:
        """Return whether to proxy an object that is not a proxy."""

    def __and__(self, other: Callable[[Any], bool]) -> Policy:
        return _Combined(operator.and_, self, _checked(other))

    def __rand__(self, other: Callable[[Any], bool]) -> Policy:
        return _Combined(operator.and_, _checked(other), self)

    def __or__(self, other: Callable[[Any], bool]) -> Policy:
        return _Combined(operator.or_, self, _checked(other))

    def __ror__(self, other: Callable[[Any], bool]) -> Policy:
        return _Combined(operator.or_, _checked(other), self)

    def __invert__(self) -> Policy:
        return _Not(self)


class ProxyAlways(Policy):
    """Proxy every object that can be."""

    __slots__ = ()
    __module__ = "psk_patterns"  # pickles contain it

    def accepts(self, obj: Any) -> bool:  # noqa: ARG002  the answer is always the same
        """Return True."""
        return True

    def __repr__(self) -> str:
        return "ProxyAlways()"


class ProxyNever(Policy):
    """Proxy nothing."""

    __slots__ = ()
    __module__ = "psk_patterns"

    def accepts(self, obj: Any) -> bool:  # noqa: ARG002  as above
        """Return False."""
        return False

    def __repr__(self) -> str:
        return "ProxyNever()"


class ProxyType(Policy):
    """Proxy the instances of some classes.

    Args:
        types: The classes.

    Raises:
        InvalidArgumentError: There are none, or one is not a class.
    """

    __slots__ = ("types",)
    __module__ = "psk_patterns"

    def __init__(self, *types: type) -> None:
        if not types or not all(isinstance(each, type) for each in types):
            raise InvalidArgumentError(
                f"ProxyType{types!r:.80} needs classes as its arguments",
                remedy="pass one class or more, as in ProxyType(numpy.ndarray)",
            )
        self.types = types

    def accepts(self, obj: Any) -> bool:
        """Return whether it is an instance of one of the classes."""
        return isinstance(obj, self.types)

    def __repr__(self) -> str:
        return f"ProxyType({', '.join(each.__qualname__ for each in self.types)})"


class ProxySize(Policy):
    """Proxy large objects, without serialising them to find out; see `size_of`.

    Args:
        min_bytes: The least size in bytes.

    Raises:
        InvalidArgumentError: It is not a whole number, or below 0.
    """

    __slots__ = ("min_bytes",)
    __module__ = "psk_patterns"

    def __init__(self, min_bytes: int = DEFAULT_BYTES) -> None:
        if type(min_bytes) is not int or min_bytes < 0:
            raise InvalidArgumentError(
                f"ProxySize({min_bytes!r:.80}) is not a number of bytes", remedy="pass a whole number, 0 or more"
            )
        self.min_bytes = min_bytes

    def accepts(self, obj: Any) -> bool:
        """Return whether it has at least that size."""
        return size_of(obj) >= self.min_bytes

    def __repr__(self) -> str:
        return f"ProxySize({self.min_bytes})"


class _Combined(Policy):
    __slots__ = ("left", "operation", "right")

    def __init__(self, operation: Callable[[Any, Any], Any], left: Any, right: Any) -> None:
        self.operation = operation
        self.left = left
        self.right = right

    def accepts(self, obj: Any) -> bool:
        if self.operation is operator.and_:
            return bool(self.left(obj) and self.right(obj))
        return bool(self.left(obj) or self.right(obj))

    def __reduce__(self) -> tuple[Any, ...]:
        return self.operation, (self.left, self.right)

    def __repr__(self) -> str:
        return f"({self.left!r} {'&' if self.operation is operator.and_ else '|'} {self.right!r})"


class _Not(Policy):
    __slots__ = ("policy",)

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def accepts(self, obj: Any) -> bool:
        return not self.policy(obj)

    def __reduce__(self) -> tuple[Any, ...]:
        return operator.invert, (self.policy,)

    def __repr__(self) -> str:
        return f"~{self.policy!r}"


def size_of(obj: Any) -> int:
    """Estimate the size of an object in bytes: its `nbytes`, the length of a string or bytes, or its `sys.getsizeof`.

    For a list, tuple or dict that is the container alone: 8 bytes or more per member, without the members. Objects that
    keep their data elsewhere, and do not include it in `nbytes` or `__sizeof__`, seem small: select their types with
    `ProxyType`. A proxy has size 0, and is not resolved.
    """
    kind = type(obj)
    if kind is int or kind is float:  # most arguments of tasks are short
        return sys.getsizeof(obj)
    if issubclass(kind, Proxy) or issubclass(kind, type):
        return 0
    if isinstance(obj, (str, bytes, bytearray)):
        return len(obj)
    nbytes = getattr(obj, "nbytes", None)
    if type(nbytes) is int:
        return nbytes
    estimated = getattr(obj, "estimated_size", None)  # of polars' frames and series
    if callable(estimated):
        return int(estimated())
    return sys.getsizeof(obj, 0)


def _checked(policy: Any) -> Callable[[Any], bool]:
    if callable(policy) and not isinstance(policy, type):
        return policy  # type: ignore[no-any-return]  # its result is tested for truth
    raise InvalidArgumentError(
        f"{policy!r:.80} is not a policy",
        remedy="pass a predicate such as ProxySize(100_000), ProxyType(numpy.ndarray), or a function of one object",
    )


def check_policy(policy: Any) -> Callable[[Any], bool]:
    """Return the argument if it is a policy; a number means `ProxySize` of that many bytes, None means `ProxyNever`.

    Raises:
        InvalidArgumentError: It is not.
    """
    if policy is None:
        return ProxyNever()
    return ProxySize(policy) if type(policy) is int else _checked(policy)
