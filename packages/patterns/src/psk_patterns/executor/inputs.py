"""What was put into the store for the arguments of a task, and when does it go?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from psk.unraisable import report_ignored
from psk_patterns.executor.evicting import evict_quietly
from psk_patterns.executor.references import end_borrows, lend, take_back
from psk_patterns.executor.search import Search, is_task_future
from psk_patterns.futures import Future
from psk_patterns.ownership import borrow, is_borrowed, is_owned
from psk_patterns.partial import Placement
from psk_patterns.traversal import transform

if TYPE_CHECKING:
    import concurrent.futures
    from collections.abc import Callable, Mapping, Sequence

    from psk import Store
    from psk_patterns.leases import LeaseHolder

#: The positional and the named arguments of one call.
Call = tuple["Sequence[Any]", "Mapping[str, Any]"]


class Inputs:
    """The arguments of one task that are more than values: objects put for it, proxies moved or lent to it.

    Args:
        store: Where chosen arguments go.
        hold: Keeps them alive; None where the channel has no expiry.

    Attributes:
        keys: Of what was put.
        awaited: Futures of other tasks, whose results are arguments of this one.
    """

    __slots__ = ("_borrowed", "_hold", "_owned", "_process", "_store", "awaited", "keys")

    def __init__(self, store: Store, hold: LeaseHolder | None) -> None:
        self.keys: frozenset[str] = frozenset()
        self.awaited: set[concurrent.futures.Future[Any]] = set()
        self._store = store
        self._hold = hold
        self._owned: list[Any] = []
        self._borrowed: list[Any] = []
        self._process = os.getpid()

    @property
    def moves(self) -> bool:
        """Whether there are owned proxies among the arguments."""
        return bool(self._owned)

    def prepare(self, calls: Sequence[Call], policy: Callable[[Any], bool]) -> Sequence[Call]:
        """Put the chosen arguments of all calls in one batch, and give the calls with proxies in their places.

        The futures of other tasks stay where they are, and are noted as `awaited`.

        Raises:
            PskError: As `Store.put`; nothing stays in the store then.
        """
        search = Search(policy, self._look_at)
        mark = search.mark_whole_or_parts
        marked = [
            ([mark(arg) for arg in args], {name: mark(arg) for name, arg in kwargs.items()}) for args, kwargs in calls
        ]
        return self._filled(search, marked)

    def complete(self, calls: Sequence[Call], policy: Callable[[Any], bool]) -> Sequence[Call]:
        """Give prepared calls with results in the places of the awaited futures, which are done.

        What a result owns stays the future's, and is borrowed by the task.

        Raises:
            PskError: As `prepare`, or an object cannot be borrowed.
            BaseException: The outcome of one of the futures.
        """
        search = Search(policy, self._look_at)

        def result_of(leaf: Any) -> Any:
            if not is_task_future(leaf):
                return leaf
            lent = transform(leaf.result(), lambda part: borrow(part) if is_owned(part) else part)
            return search.mark_whole_or_parts(lent)

        marked = transform(calls, result_of)
        self.awaited.clear()
        return self._filled(search, marked)

    def _filled(self, search: Search, marked: Sequence[Call]) -> Sequence[Call]:
        if search.chosen:
            placement = Placement(None if self._hold is None else self._hold.ttl)
            made = placement.proxies(self._store, search.chosen)
            self.keys |= frozenset(placement.keys)
            if self._hold is not None:
                self._hold.add(*self.keys)
            marked = search.fill(marked, made)
        return marked

    def settle(self) -> None:
        """End what the task had for its time only, now that it is over; owned proxies that it never used return."""
        borrowed, self._borrowed = self._borrowed, []
        owned, self._owned = self._owned, []
        if os.getpid() != self._process:
            return
        try:
            end_borrows(borrowed)
            take_back(owned)
        except Exception:  # noqa: BLE001  the outcome must reach its future, whatever the channel says to this
            report_ignored(self, "psk could not end the borrows of a task")

    def release(self) -> None:
        """Evict what was put; doing so twice is no error, and one of the channel is only reported: leases run out."""
        keys, self.keys = self.keys, frozenset()
        # A forked child has copies of its parent's futures, and drops them.
        if not keys or os.getpid() != self._process:
            return
        if self._hold is not None:
            self._hold.discard(*keys)
        evict_quietly(self._store, keys, "arguments")

    def _look_at(self, value: Any) -> Any:
        if issubclass(type(value), Future):
            return value.proxy()
        if is_task_future(value):
            self.awaited.add(value)
        elif is_owned(value):
            self._owned.append(value)
        elif is_borrowed(value):
            lend(value)
            self._borrowed.append(value)
        return value

    def __repr__(self) -> str:
        return f"Inputs({self._store.name!r}, {len(self.keys)} objects)"
