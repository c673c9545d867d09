"""How does a resolved proxy answer at the speed of C? By changing to a class whose methods are its own slots."""

from __future__ import annotations

import sys
import threading
from functools import partial
from operator import eq, getitem
from types import FunctionType
from typing import Any

from psk.fork import after_fork_in_child
from psk.proxy.forms import adopt_target, fast_form, form_for
from psk.proxy.layout import (
    FAST_OPERATIONS,
    UNRESOLVED,
    Layout,
    fast_slots,
    read_default_class,
    read_default_hash,
    read_target,
    write_default_class,
    write_default_hash,
    write_target,
)
from psk.proxy.resolution import resolve_target

# Held for a microsecond while a proxy changes its form. Re-entrant: a finaliser may run in between.
_switching = threading.RLock()
# Known to need no care, which is much cheaper to see than to find out.
# By their addresses: a metaclass may make its classes unhashable.
_BUILTIN = frozenset(map(id, (int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset)))
_HASHED_BY_VALUE = frozenset(map(id, (int, float, complex, bool, str, bytes, type(None))))
_set_class: Any = vars(object)["__class__"].__set__
_write_getattribute, _write_len, _write_getitem, _write_eq, _write_call = (
    fast_slots[name].__set__ for name in FAST_OPERATIONS
)


@after_fork_in_child
def _replace_lock() -> None:
    global _switching  # noqa: PLW0603  # a fork may have copied the lock held by a thread that is not here
    _switching = threading.RLock()


def fast_target_of(proxy: Any) -> Any:
    """Return the target, and make the next operations fast if the proxy is used a second time."""
    target = read_target(proxy)
    if target is UNRESOLVED:
        return resolve_target(proxy)
    if not type(proxy).__proxy_fast__:
        _speed_up(proxy, target)
    return target


def _speed_up(proxy: Any, target: Any) -> None:
    kind = type(target)
    # Not the form that the proxy has: who resolved it may not have come to give it the right one.
    form = fast_form(form_for(type(proxy), kind), id(kind) not in _BUILTIN and _needs_care(kind))
    if sys.is_finalizing():  # a thread that was stopped may hold the lock for ever
        return
    with _switching:  # not acquired by a call, after which an interrupt would leave it locked
        if read_target(proxy) is not target:
            return
        _write_getattribute(proxy, partial(getattr, target))
        _write_len(proxy, partial(len, target))
        _write_getitem(proxy, partial(getitem, target))
        _write_eq(proxy, partial(eq, target))
        _write_call(proxy, target)
        # Last: from here on other threads use the slots.
        _set_class(proxy, form)


def _needs_care(kind: type) -> bool:
    """Tell whether targets of a type have attributes that must not be shown as the proxy's own.

    cloudpickle takes by value whatever shows the class of a function. numpy loses the dtype of text, dates and
    records where it finds `__array_struct__` on something that is no array. The state of a proxy inside a proxy
    is not that of the outer one.
    """
    return kind is FunctionType or hasattr(kind, "__array_struct__") or issubclass(kind, Layout)


def _slow_down(proxy: Any) -> None:
    if type(proxy).__proxy_fast__:
        _set_class(proxy, type(proxy).__base__)
    for slot in fast_slots.values():
        try:
            slot.__delete__(proxy)
        except AttributeError:
            continue


def replace_target(proxy: Any, target: Any) -> None:
    """Give a proxy a target, as if its factory had just returned it."""
    with _switching:
        _slow_down(proxy)
        adopt_target(proxy, target)


def forget_target(proxy: Any) -> None:
    """Make a proxy unresolved again and drop its hold on the target; its class, protocols and hash stay known."""
    with _switching:
        target = read_target(proxy)
        if target is UNRESOLVED:
            return
        write_default_class(proxy, known_class(proxy))
        write_default_hash(proxy, known_hash(proxy))
        _slow_down(proxy)
        write_target(proxy, UNRESOLVED)


def known_class(proxy: Any) -> Any:
    """Return the class of a proxy's target if that is known without resolving anything, else None."""
    target = read_target(proxy)
    if target is UNRESOLVED:
        return _read(read_default_class, proxy)
    return None if issubclass(type(target), Layout) else target.__class__


def known_hash(proxy: Any) -> Any:
    """Return the hash of a proxy's target if it has one that is known without resolving anything, else None."""
    target = read_target(proxy)
    if target is not UNRESOLVED and is_hashed_by_value(target):
        return hash(target)
    return _read(read_default_hash, proxy)


def is_hashed_by_value(target: Any) -> bool:
    """Tell whether an equal object that is made anew has the same hash here; by default the hash is one instance's."""
    kind = type(target)
    if kind is tuple or kind is frozenset:
        return all(map(is_hashed_by_value, target))
    return id(kind) in _HASHED_BY_VALUE and target == target  # noqa: PLR0124  # only a NaN differs from itself


def claim_known_protocols(proxy: Any) -> None:
    """Give an unresolved proxy the protocols of the class that it is known to have, or all if it is known no longer."""
    if read_target(proxy) is UNRESOLVED:
        kind = known_class(proxy)
        cls: Any = type(proxy)
        _set_class(proxy, cls.__proxy_unresolved__ if kind is None else form_for(cls, kind))


def _read(slot: Any, proxy: Any) -> Any:
    try:
        return slot(proxy)
    except AttributeError:
        return None


def public_class(proxy: Any) -> Any:
    """Return the class that a proxy was made with, whichever form it is in now."""
    return type(proxy).__proxy_public__
