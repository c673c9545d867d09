"""What becomes of owned and borrowed proxies that go into a task or come out of it?"""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

from psk.fork import after_fork_in_child
from psk.unraisable import report_ignored
from psk_patterns.errors import ReferenceInvalidError
from psk_patterns.ownership import accept, is_owned, mark_refs_out_of_scope, withdraw
from psk_patterns.traversal import transform

if TYPE_CHECKING:
    from collections.abc import Iterable

#: In how many tasks that are not over a borrow is, by its id; their inputs hold it, so that its id stays its own.
_uses: dict[int, int] = {}
_lock = threading.RLock()


def take_over(call: Any) -> Any:
    """Move the owned proxies of a call to its task, though both are in one process and nothing is pickled."""

    def move(leaf: Any) -> Any:
        if not is_owned(leaf):
            return leaf
        moved = pickle.loads(pickle.dumps(leaf))  # noqa: S301  of this very line
        accept(moved)
        return moved

    return transform(call, move)


def take_back(owners: Iterable[Any]) -> None:
    """Withdraw the offers of owned proxies that their task has not accepted; of the others, their leases end here."""
    for owner in owners:
        try:
            withdraw(owner)
        except ReferenceInvalidError:
            continue  # the task had it, or its user released it
        except Exception:  # noqa: BLE001  the outcome of the task is on its way, and the offer has an end of its own
            report_ignored(owner, "psk could not take an owned proxy back from a task")


def lend(reference: Any) -> None:
    """Note that one more task has a borrow among its arguments."""
    with _lock:
        _uses[id(reference)] = _uses.get(id(reference), 0) + 1


def end_borrows(references: Iterable[Any]) -> None:
    """End the borrows of a task that is over, but for those that other tasks still have."""
    for reference in references:
        with _lock:
            _uses[id(reference)] -= 1
            is_last = not _uses[id(reference)]
            if is_last:
                del _uses[id(reference)]
        if is_last:
            mark_refs_out_of_scope(reference)


@after_fork_in_child
def _renew_lock() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in a forked child
    _lock = threading.RLock()
