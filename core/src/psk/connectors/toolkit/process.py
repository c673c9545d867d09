"""Hold values that each process makes for itself."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Final, Generic, TypeVar

from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_NOTHING: Final[Any] = object()


class PerProcess(Generic[T]):
    """Hold a value that each process makes when it first needs it; a forked child starts without its parent's.

    Args:
        make: Makes the value; called once in each process, also by several threads at once.
        forget: Called in a forked child with the value of its parent, to give up the child's copies of descriptors. It
            must not say goodbye on a connection, which the parent goes on using, nor take a lock.
    """

    __slots__ = ("__weakref__", "_forget", "_lock", "_make", "_value")

    def __init__(self, make: Callable[[], T], *, forget: Callable[[T], object] | None = None) -> None:
        self._make = make
        self._forget = forget
        self._begin()
        after_fork_in_child(self, PerProcess._continue_in_child)

    def _begin(self) -> None:
        self._value: T = _NOTHING
        self._lock = threading.RLock()  # a finaliser or a signal handler may come in while it is held

    def get(self) -> T:
        """Return the value of this process."""
        value = self._value
        if value is _NOTHING:
            with self._lock:
                value = self._value
                if value is _NOTHING:
                    value = self._value = self._make()
        return value

    def clear(self) -> T | None:
        """Take the value away, as to close it, and return it; None if there is none. The next `get` makes another."""
        value, self._value = self._value, _NOTHING
        return None if value is _NOTHING else value

    def _continue_in_child(self) -> None:
        value = self.clear()
        self._begin()
        if value is not None and self._forget is not None:
            self._forget(value)
