"""Call back in a forked child, where the threads of its parent do not exist."""

from __future__ import annotations

import os
import weakref
from typing import TYPE_CHECKING, Any, TypeVar

from psk.errors import report_ignored

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["after_fork_in_child"]

T = TypeVar("T")


class _Entry(weakref.ref[Any]):
    """A weakly held owner and the function to call with it."""

    __slots__ = ("reset",)

    reset: Callable[[Any], object] | None


# In order of registration. A finaliser or another thread may add or remove entries at any time, so each change is a
# single operation of the dictionary, and no lock is needed that a child could inherit locked.
_entries: dict[int, _Entry] = {}


def after_fork_in_child(owner: T, reset: Callable[[T], object] | None = None) -> T:
    """Call a function in every child that this process, or a child of it, forks from now on.

    A child inherits locks in the state that other threads of its parent left them in, and books about threads that do
    not exist in it: both must be replaced there. The calls are made in the order of registration, before `os.fork`
    returns in the child. One that raises is reported to `sys.unraisablehook`; the others are made all the same.

    Args:
        owner: What the function is called with. It is held weakly, and the registration ends with it.
        reset: The function. Omit it where the owner itself is a function without arguments that lives as long as its
            module: `after_fork_in_child` then serves as its decorator.

    Returns:
        The owner.
    """
    entry = _Entry(owner, _forget)
    entry.reset = reset
    _entries[id(entry)] = entry
    return owner


def _forget(entry: weakref.ref[Any], pop: Callable[[int, None], object] = _entries.pop) -> None:
    pop(id(entry), None)


def _call_all() -> None:
    for entry in list(_entries.values()):
        owner = entry()
        if owner is None:
            continue
        try:
            owner() if entry.reset is None else entry.reset(owner)
        except BaseException:  # noqa: BLE001  os.fork has no caller to give it to, and the others must be called
            report_ignored(owner, "Exception ignored in a forked child, while resetting it")


if hasattr(os, "register_at_fork"):  # where processes can be forked at all
    os.register_at_fork(after_in_child=_call_all)
