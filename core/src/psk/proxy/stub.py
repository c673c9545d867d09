"""The class that a type checker sees as Proxy; it is never imported when a program runs.

The base Any makes a proxy acceptable where its target's type is asked for, and gives it every attribute. Arithmetic
is listed because both checkers would otherwise take the type of `p + 1` from `int`. docs/proxy.md lists what is
flagged and what cannot be.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, Never, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T_co = TypeVar("T_co", covariant=True)

Unknown: TypeAlias = Any | Never  # noqa: RUF020  # mypy keeps the union apart from Any
"""Any, in a form that mypy does not warn of when a function returns it (warn_return_any, part of --strict)."""


class Proxy(Any, Generic[T_co]):  # type: ignore[misc]  # subclassing Any is the point
    """See `psk.proxy.proxy.Proxy`."""

    def __init__(
        self, factory: Callable[[], T_co], *, cache_defaults: bool = ..., target: T_co | None = ...
    ) -> None: ...

    @property
    def __proxy_factory__(self) -> Callable[[], T_co]:
        raise NotImplementedError

    @property
    def __proxy_resolved__(self) -> bool:
        raise NotImplementedError

    __proxy_wrapped__: Any

    def __getattr__(self, name: str, /) -> Unknown:
        raise NotImplementedError

    def __getitem__(self, key: Any, /) -> Unknown:
        raise NotImplementedError

    def __hash__(self) -> int:
        raise NotImplementedError

    def __eq__(self, other: object, /) -> Any: ...
    def __ne__(self, other: object, /) -> Any: ...
    def __pow__(self, other: Any, modulus: Any = ..., /) -> Any: ...

    def _operation(self, other: Any, /) -> Any: ...

    # All other operators have one signature.
    __lt__ = __le__ = __gt__ = __ge__ = _operation
    __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = __floordiv__ = __mod__ = __divmod__ = _operation
    __lshift__ = __rshift__ = __and__ = __xor__ = __or__ = _operation
    __radd__ = __rsub__ = __rmul__ = __rmatmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rdivmod__ = _operation
    __rlshift__ = __rrshift__ = __rand__ = __rxor__ = __ror__ = _operation
    __iadd__ = __isub__ = __imul__ = __imatmul__ = __itruediv__ = __ifloordiv__ = __imod__ = _operation
    __ilshift__ = __irshift__ = __iand__ = __ixor__ = __ior__ = _operation
    __rpow__ = __ipow__ = __pow__
