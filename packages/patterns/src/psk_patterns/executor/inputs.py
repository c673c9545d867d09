"""The arguments of a task: objects that are put for it, and proxies that are moved or lent to it."""

from __future__ import annotations

import concurrent.futures
import os
from typing import TYPE_CHECKING, Any

from psk.errors import InvalidArgumentError, report_ignored
from psk.proxy import is_proxy
from psk.store import get_key
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.futures import Future
from psk_patterns.leases import reopened
from psk_patterns.ownership import borrow, is_borrowed, is_owned, mark_refs_out_of_scope, withdraw
from psk_patterns.ownership.proxies import borrow_of
from psk_patterns.partial import Selection
from psk_patterns.policies import ProxyNever
from psk_patterns.traversal import PLAIN, is_structure, leaves, transform

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from psk import Store
    from psk_patterns.leases import LeaseHolder

#: The positional and the named arguments of a task.
Call = tuple["Sequence[Any]", "Mapping[str, Any]"]


class PolicySelection(Selection):
    """The objects that a policy selects, at any depth of one or several values.

    A structure can be selected whole, unless it contains proxies or futures, which are handled one by one.

    Args:
        policy: Decides about each object.
        look_at: Called with each proxy and each future; its result takes that one's place, and is subject to the
            policy.
    """

    def __init__(self, policy: Callable[[Any], bool], look_at: Callable[[Any], Any]) -> None:
        super().__init__(self._suits)
        self._policy = policy
        self._look_at = look_at

    def mark_whole_or_parts(self, value: Any) -> Any:
        """Do what `mark` does, and treat a structure that contains itself as a single object."""
        try:
            return self.mark(value)
        except InvalidArgumentError:
            return self.select(value) if self._policy(value) else value

    def note(self, value: Any) -> Any:
        """Return the mark of an object if it is selected, else what takes its place."""
        return super().note(self._look_at(value) if _is_reference(value) else value)

    def _suits(self, value: Any) -> bool:
        if not self._policy(value) or is_task_future(value):
            return False
        return _is_plain(value) or not is_structure(value) or not any(map(_is_reference, leaves(value)))


def stays(value: Any, policy: Callable[[Any], bool]) -> bool:
    """Return quickly whether a value is sent as it is, because nothing in it is a reference or selected by a policy.

    Args:
        value: An argument or a result. If it is neither a number nor a text, nor a list or tuple of only these, the
            answer is False; use `PolicySelection` then.
        policy: Decides about each object.
    """
    if type(value) in PLAIN:
        return value is None or value is True or value is False or not policy(value)
    # Visiting a million numbers would take a second.
    return _is_plain(value) and (type(policy) is ProxyNever or not (policy(value) or any(map(policy, value))))


def is_task_future(value: Any) -> bool:
    """Return whether a value is the future of a task of any executor; resolves nothing."""
    return issubclass(type(value), concurrent.futures.Future)


def _is_reference(value: Any) -> bool:
    return is_proxy(value) or is_task_future(value) or issubclass(type(value), Future)


def _is_plain(value: Any) -> bool:
    """Return quickly whether a value has no parts that need a look, as most values do."""
    cls = type(value)
    return cls in PLAIN or (cls in {list, tuple} and PLAIN.issuperset(map(type, value)))


class Inputs:
    """The arguments of one task that need to be cleaned up after it.

    Args:
        store: Where selected arguments go.
        holder: Keeps them alive; None where the channel has no expiry.

    Attributes:
        keys: The keys of the objects that were put.
        awaited: Futures of other tasks, whose results are arguments of this one.
    """

    __slots__ = ("_borrowed", "_holder", "_owned", "_process", "_store", "awaited", "keys")

    def __init__(self, store: Store, holder: LeaseHolder | None) -> None:
        self.keys: frozenset[str] = frozenset()
        self.awaited: set[concurrent.futures.Future[Any]] = set()
        self._store = store
        self._holder = holder
        self._owned: list[Any] = []
        self._borrowed: list[Any] = []
        self._process = os.getpid()

    @property
    def moves(self) -> bool:
        """Whether there are owned proxies among the arguments."""
        return bool(self._owned)

    def prepare(self, call: Call, policy: Callable[[Any], bool]) -> Call:
        """Put the selected arguments in one batch, and return the call with proxies in their places.

        The futures of other tasks stay in place, and are noted as `awaited`.

        Raises:
            PskError: As `Store.put`; nothing stays in the store then.
        """
        args, kwargs = call
        others = {id(value) for value in (*args, *kwargs.values()) if not stays(value, policy)}
        if not others:
            return call
        selection = PolicySelection(policy, self._look_at)

        def mark(value: Any) -> Any:
            return selection.mark_whole_or_parts(value) if id(value) in others else value

        return self._filled(selection, ([mark(arg) for arg in args], {name: mark(arg) for name, arg in kwargs.items()}))

    def complete(self, call: Call, policy: Callable[[Any], bool]) -> Call:
        """Return a prepared call with results in the places of the awaited futures, which are done.

        Objects that a result owns stay the future's, and are borrowed by the task.

        Raises:
            PskError: As `prepare`, or an object cannot be borrowed.
            BaseException: The error of one of the futures.
        """
        selection = PolicySelection(policy, self._look_at)

        def result_of(leaf: Any) -> Any:
            if not is_task_future(leaf):
                return leaf
            lent = transform(leaf.result(), lambda part: borrow(part) if is_owned(part) else part)
            return lent if stays(lent, policy) else selection.mark_whole_or_parts(lent)

        marked = transform(call, result_of)
        self.awaited.clear()
        return self._filled(selection, marked)

    def _filled(self, selection: PolicySelection, marked: Call) -> Call:
        if selection.selected:
            ttl = None if self._holder is None else self._holder.ttl
            made = self._store.proxy_batch(selection.selected, ttl=ttl, populate_target=False)
            self.keys |= frozenset(map(get_key, made))
            if self._holder is not None:
                self._holder.add(*self.keys)
            return selection.fill(marked, made)  # type: ignore[no-any-return]  # the same structure
        return marked

    def settle(self) -> None:
        """End the borrows of the task, which is over, and take back the owned proxies that it did not accept."""
        if not (self._borrowed or self._owned) or os.getpid() != self._process:
            return
        borrowed, self._borrowed = self._borrowed, []
        owned, self._owned = self._owned, []
        for ref in borrowed:
            users = borrow_of(ref).users
            users.discard(self)
            if not users:
                mark_refs_out_of_scope(ref)
        _take_back(owned)

    def release(self) -> None:
        """Evict the objects that were put; twice has no effect, and an error is only reported, since leases expire."""
        keys, self.keys = self.keys, frozenset()
        # A forked child has copies of its parent's futures, and drops them.
        if not keys or os.getpid() != self._process:
            return
        if self._holder is not None:
            self._holder.discard(*keys)
        evict_quietly(self._store, keys, "arguments")

    def _look_at(self, value: Any) -> Any:
        if issubclass(type(value), Future):
            return value.proxy()
        if is_task_future(value):
            self.awaited.add(value)
        elif is_owned(value):
            self._owned.append(value)
        elif is_borrowed(value):
            borrow_of(value).users.add(self)
            self._borrowed.append(value)
        return value

    def __repr__(self) -> str:
        return f"Inputs({self._store.name!r}, {len(self.keys)} objects)"


def _take_back(owners: Iterable[Any]) -> None:
    for owner in owners:
        try:
            withdraw(owner)
        except ReferenceInvalidError:
            continue  # the task accepted it, or its user released it
        except Exception:  # noqa: BLE001  the outcome must reach its future, and the offer ends by itself
            report_ignored(owner, "psk could not take an owned proxy back from a task")


def evict_quietly(store: Store, keys: Collection[str], what: str) -> None:
    """Evict objects where no caller could be told of a failure; those with a lease expire.

    Args:
        store: The store of the objects; it may have been closed.
        keys: The objects.
        what: What they are, for the error's message.
    """
    if not keys:
        return
    try:
        with reopened(store) as opened:
            opened.evict_batch(keys)
    except Exception:  # noqa: BLE001  as documented
        report_ignored(store, f"psk could not evict {len(keys)} {what} of a task")
