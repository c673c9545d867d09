"""How does a proxy stand for an object that is yet to be made?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from psk.store import StoreFactory
    from psk_patterns.futures.promise import Future

T = TypeVar("T")


class FutureFactory(Generic[T]):
    """Wait for a future when a proxy of its result is used.

    Args:
        future: The future.
        evict: Release it once it has given its result.
    """

    __slots__ = ("evict", "future")

    def __init__(self, future: Future[T], evict: bool = False) -> None:
        self.future = future
        self.evict = evict

    def __call__(self) -> T:
        """Give the future's result, or raise what is there instead."""
        result = self.future.result()
        if self.evict:
            self.future.release()
        return result

    @property
    def factory(self) -> StoreFactory[Any]:
        """What fetches the outcome: `psk.get_key` and `psk.get_store` ask for it."""
        return self.future.slots.result

    def __repr__(self) -> str:
        return f"FutureFactory({self.future!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return FutureFactory, (self.future, self.evict)
