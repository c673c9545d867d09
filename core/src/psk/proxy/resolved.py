"""How does a resolved proxy answer at the speed of C? By changing to a class whose methods are its own slots."""

from __future__ import annotations

import copy
import copyreg
import os
import threading
from functools import partial
from operator import eq, getitem
from types import FunctionType
from typing import Any

from psk.proxy.layout import (
    FAST_OPERATIONS,
    UNRESOLVED,
    Layout,
    fast_slots,
    read_target,
    write_target,
)
from psk.proxy.resolution import resolve_target

# Held for a microsecond while a proxy changes its form. Re-entrant: a finaliser may run in between.
_switching = threading.RLock()
# Known to need no care, which is much cheaper to see than to find out.
_BUILTIN = frozenset({int, float, complex, str, bytes, bytearray, list, tuple, dict, set, frozenset})
_set_class: Any = vars(object)["__class__"].__set__
_write_getattribute, _write_len, _write_getitem, _write_eq, _write_call = (
    fast_slots[name].__set__ for name in FAST_OPERATIONS
)


def _replace_lock() -> None:
    global _switching  # noqa: PLW0603  # a fork may have copied the lock held by a thread that is not here
    _switching = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_replace_lock)


def fast_target_of(proxy: Any) -> Any:
    """Return the target, and make the next operations fast if the proxy is used a second time."""
    target = read_target(proxy)
    if target is UNRESOLVED:
        return resolve_target(proxy)
    if not type(proxy).__proxy_fast__:
        _speed_up(proxy, target)
    return target


def _speed_up(proxy: Any, target: Any) -> None:
    cls: Any = type(proxy)
    kind = type(target)
    form = cls.Resolved if kind in _BUILTIN or not _needs_care(kind) else cls.Careful
    if not _switching.acquire(blocking=False):
        # Another thread is at it, if perhaps with another proxy; a later use will do.
        return
    try:
        if read_target(proxy) is not target:
            return
        _write_getattribute(proxy, partial(getattr, target))
        _write_len(proxy, partial(len, target))
        _write_getitem(proxy, partial(getitem, target))
        _write_eq(proxy, partial(eq, target))
        _write_call(proxy, target)
        # Last: from here on other threads use the slots.
        _set_class(proxy, form)
    finally:
        _switching.release()


def _needs_care(kind: type) -> bool:
    """Tell whether targets of a type have attributes that must not be shown as the proxy's own.

    cloudpickle takes by value whatever shows the class of a function. numpy loses the dtype of text, dates and
    records where it finds `__array_struct__` on something that is no array. The state of a proxy inside a proxy
    is not that of the outer one.
    """
    return kind is FunctionType or hasattr(kind, "__array_struct__") or issubclass(kind, Layout)


def _slow_down(proxy: Any) -> None:
    cls = public_class(proxy)
    if type(proxy) is cls:
        return
    _set_class(proxy, cls)
    for slot in fast_slots.values():
        slot.__delete__(proxy)


def replace_target(proxy: Any, target: Any) -> None:
    """Give a proxy a target, as if its factory had just returned it."""
    with _switching:
        _slow_down(proxy)
        write_target(proxy, target)


def forget_target(proxy: Any) -> None:
    """Make a proxy unresolved again and drop its hold on the target; nothing happens if it has none."""
    with _switching:
        _slow_down(proxy)
        write_target(proxy, UNRESOLVED)


def public_class(proxy: Any) -> Any:
    """Return the class that a proxy was made with, whichever form it is in now."""
    cls: Any = type(proxy)
    return cls.__base__ if cls.__proxy_fast__ else cls


def _reduce(proxy: Any) -> Any:
    cls: Any = type(proxy)
    return cls.__reduce_ex__(proxy, 4)


def _deepcopy(proxy: Any, memo: dict[int, Any]) -> Any:
    return type(proxy).__deepcopy__(proxy, memo)


def add_fast_forms(cls: Any, plain: dict[str, Any]) -> None:
    """Give a proxy class the two classes that its resolved instances take on.

    `cls.Resolved` answers from the slots. `cls.Careful` does so, too, but looks at attribute names first.

    Args:
        cls: The proxy class.
        plain: The fast operations of Proxy itself; where `cls` has its own, its forms keep that one. Beside
            them "careful", the attribute access of careful forms, and "__getattr__", that of the others for
            names that the target does not have.
    """
    slots = {name: slot for name, slot in fast_slots.items() if getattr(cls, name) is plain[name]}
    resolved, careful = dict(slots), dict(slots)
    if "__getattribute__" in slots:
        resolved["__getattr__"] = plain["__getattr__"]
        careful["__getattribute__"] = plain["careful"]
    cls.Resolved, cls.Careful = _form(cls, "Resolved", resolved), _form(cls, "Careful", careful)
    for form in (cls, cls.Resolved, cls.Careful):
        # A fast form answers an instance's `__reduce_ex__` and `__deepcopy__` with the target's; pickle and
        # copy ask these tables first.
        copyreg.pickle(form, _reduce)
        copy._deepcopy_dispatch[form] = _deepcopy  # type: ignore[attr-defined]  # noqa: SLF001  # no other way in


def _form(cls: Any, name: str, namespace: dict[str, Any]) -> Any:
    namespace |= {
        "__slots__": (),
        "__proxy_fast__": True,
        "__module__": cls.__module__,
        # A name under which pickle finds it, for those who pickle `type(proxy)`.
        "__qualname__": f"{cls.__qualname__}.{name}",
        "__doc__": cls.__doc__,
        # Python would drop it from a class with an `__eq__` of its own.
        "__hash__": cls.__hash__,
    }
    return type(cls)(cls.__name__, (cls,), namespace, fast_form=True)
