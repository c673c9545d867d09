"""Which objects shall travel as proxies? Those that a policy says: by type, by size, always, never, and combined."""

from __future__ import annotations

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

    Whatever takes a policy takes any other predicate too; `&` and `|` accept one at either side. Policies can be
    pickled if what they are made of can. A proxy is never proxied again.
    """

    __slots__ = ()

    def __call__(self, obj: Any) -> bool:
        """Tell whether an object shall be proxied; a proxy is not resolved to find out."""
        return not issubclass(type(obj), Proxy) and self.accepts(obj)

    @abstractmethod
    def accepts(self, obj: Any) -> bool:
        """Tell whether an object that is no proxy shall be proxied."""

    def __and__(self, other: Callable[[Any], bool]) -> Policy:
        return _Both(self, _checked(other))

    def __rand__(self, other: Callable[[Any], bool]) -> Policy:
        return _Both(_checked(other), self)

    def __or__(self, other: Callable[[Any], bool]) -> Policy:
        return _Either(self, _checked(other))

    def __ror__(self, other: Callable[[Any], bool]) -> Policy:
        return _Either(_checked(other), self)

    def __invert__(self) -> Policy:
        return _Not(self)


class ProxyAlways(Policy):
    """Proxy everything that can be."""

    __slots__ = ()

    def accepts(self, obj: Any) -> bool:  # noqa: ARG002  the answer is always the same
        """Say yes."""
        return True

    def __repr__(self) -> str:
        return "ProxyAlways()"


class ProxyNever(Policy):
    """Proxy nothing."""

    __slots__ = ()

    def accepts(self, obj: Any) -> bool:  # noqa: ARG002  as above
        """Say no."""
        return False

    def __repr__(self) -> str:
        return "ProxyNever()"


class ProxyType(Policy):
    """Proxy the instances of some classes.

    Args:
        types: The classes.

    Raises:
        InvalidArgumentError: There is none, or something is no class.
    """

    __slots__ = ("types",)

    def __init__(self, *types: type) -> None:
        if not types or not all(isinstance(each, type) for each in types):
            raise InvalidArgumentError(
                f"ProxyType{types!r:.80} names something that is no class, or nothing",
                remedy="pass one class or more, as in ProxyType(numpy.ndarray)",
            )
        self.types = types

    def accepts(self, obj: Any) -> bool:
        """Tell whether it is an instance of one of the classes."""
        return isinstance(obj, self.types)

    def __repr__(self) -> str:
        return f"ProxyType({', '.join(each.__qualname__ for each in self.types)})"


class ProxySize(Policy):
    """Proxy what is large, without serialising it to find out; see `size_of`.

    Args:
        min_bytes: The least size in bytes.

    Raises:
        InvalidArgumentError: It is no whole number, or below 0.
    """

    __slots__ = ("min_bytes",)

    def __init__(self, min_bytes: int = DEFAULT_BYTES) -> None:
        if type(min_bytes) is not int or min_bytes < 0:
            raise InvalidArgumentError(
                f"ProxySize({min_bytes!r:.80}) is no number of bytes", remedy="pass a whole number, 0 or more"
            )
        self.min_bytes = min_bytes

    def accepts(self, obj: Any) -> bool:
        """Tell whether it is as large as that."""
        return size_of(obj) >= self.min_bytes

    def __repr__(self) -> str:
        return f"ProxySize({self.min_bytes})"


class _Both(Policy):
    __slots__ = ("left", "right")

    def __init__(self, left: Callable[[Any], bool], right: Callable[[Any], bool]) -> None:
        self.left = left
        self.right = right

    def accepts(self, obj: Any) -> bool:
        return bool(self.left(obj) and self.right(obj))

    def __repr__(self) -> str:
        return f"({self.left!r} & {self.right!r})"


class _Either(_Both):
    __slots__ = ()

    def accepts(self, obj: Any) -> bool:
        return bool(self.left(obj) or self.right(obj))

    def __repr__(self) -> str:
        return f"({self.left!r} | {self.right!r})"


class _Not(Policy):
    __slots__ = ("policy",)

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def accepts(self, obj: Any) -> bool:
        return not self.policy(obj)

    def __repr__(self) -> str:
        return f"~{self.policy!r}"


def size_of(obj: Any) -> int:
    """Estimate the bytes that an object takes: its `nbytes` if it has them, else its length as bytes, else its memory.

    Of a list, tuple or dict that is the container alone, 8 bytes and more for each member, without what the members
    take. Objects that keep their data elsewhere and do not say so (in `nbytes` or `__sizeof__`) seem small: name
    their types with `ProxyType`. A proxy counts as nothing, and is not resolved.
    """
    if issubclass(type(obj), Proxy) or isinstance(obj, type):
        return 0
    if isinstance(obj, str | bytes | bytearray):
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
        return policy  # type: ignore[no-any-return]  # what it returns is its own affair: it is asked for its truth
    raise InvalidArgumentError(
        f"{policy!r:.80} is no policy",
        remedy="pass a predicate such as ProxySize(100_000), ProxyType(numpy.ndarray), or a function of one object",
    )


def check_policy(policy: Any) -> Callable[[Any], bool]:
    """Give a policy back if it is one; a number stands for `ProxySize` of as many bytes, None for `ProxyNever`.

    Raises:
        InvalidArgumentError: It cannot be asked about an object.
    """
    if policy is None:
        return ProxyNever()
    return ProxySize(policy) if type(policy) is int else _checked(policy)
