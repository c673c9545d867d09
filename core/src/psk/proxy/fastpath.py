"""Operations of resolved proxies at the speed of C: a proxy in use changes to a class whose methods are its own slots.

A method in Python costs 100 ns per call on CPython 3.11, and attribute access by `__getattribute__` 400 ns. A *fast
form* is a subclass of a proxy's form in which slots of the proxy stand in the places of special methods (`__len__`,
`__add__`, `__getattribute__`, ...). They hold C callables that are bound to the target, so the interpreter runs no
Python frame.

This module can be switched off, to see whether an error comes from it: with `PSK_FAST_PROXIES=0` in the environment no
proxy changes to a fast form, and proxies do the same more slowly.
"""

from __future__ import annotations

import operator
import os
import sys
import threading
from contextlib import suppress
from functools import partial
from types import FunctionType, MethodType
from typing import Any

from psk.fork import after_fork_in_child
from psk.proxy.forms import Layout, make_class, name_of
from psk.proxy.target import (
    UNRESOLVED,
    adopt_target,
    class_of,
    form_for,
    known_class,
    known_hash,
    read_target,
    resolve_target,
    set_class,
    write_default_class,
    write_default_hash,
    write_target,
)

enabled = os.environ.get("PSK_FAST_PROXIES") != "0"
"""Whether proxies that are used a second time change to a fast form."""

_SLOTS: list[Any] = [slot for name, slot in vars(Layout).items() if name.startswith("__proxy_operation_")]
# The operations of every target that are fast enough in C to be worth a slot; None is a call of the target itself.
_OPERATIONS = {
    "__getattribute__": getattr,
    "__eq__": operator.eq,
    "__len__": len,
    "__getitem__": operator.getitem,
    "__call__": None,
}
# The operators of built-in types, which know no proxy: they leave a right operand that is one to its own reflected
# operator, so it need not be replaced by its target first. The exception is `text % p`, which takes whatever `p` is.
OPERATORS = {"__pow__": pow} | {
    f"__{name}__": getattr(operator, f"__{name}__")
    for name in ("add", "sub", "mul", "truediv", "floordiv", "mod", "lshift", "rshift", "and", "xor", "or")
}
# By their addresses: a metaclass may make its classes unhashable.
_BUILTIN = {
    id(kind): [name for name in OPERATORS if hasattr(kind, name) and not (name == "__mod__" and hasattr(kind, "find"))]
    for kind in (int, float, complex, bool, str, bytes, bytearray, list, tuple, dict, set, frozenset)
}
# Held for a microsecond while a proxy changes its form. Re-entrant: a finaliser may run in between.
_switching = threading.RLock()


@after_fork_in_child
def _replace_lock() -> None:
    global _switching  # noqa: PLW0603  # a thread that does not exist in the child may have held the lock
    _switching = threading.RLock()


def fast_target_of(proxy: Any) -> Any:
    """Return the target, and make the next operations fast if the proxy is used a second time."""
    target = read_target(proxy)
    if target is UNRESOLVED:
        return resolve_target(proxy)
    if not type(proxy).__proxy_fast__ and enabled:
        _speed_up(proxy, target)
    return target


def _speed_up(proxy: Any, target: Any) -> None:
    # Not the form that the proxy has: the thread that resolved it may not have given it the right one yet.
    form = _fast_form(form_for(type(proxy), type(target)), type(target))
    bind: Any = partial if target is None else MethodType  # the cheaper one refuses None
    if sys.is_finalizing():  # a thread that was stopped may hold the lock for ever
        return
    with _switching:  # not acquired by a call, after which an interrupt would leave it locked
        if read_target(proxy) is not target:
            return
        for write, function in form.__proxy_bound__:
            write(proxy, target if function is None else bind(function, target))
        # Last: from here on other threads use the slots.
        set_class(proxy, form)


def _slow_down(proxy: Any) -> None:
    if type(proxy).__proxy_fast__:
        set_class(proxy, type(proxy).__base__)
    for slot in _SLOTS:
        with suppress(AttributeError):  # never filled
            slot.__delete__(proxy)


def _needs_care(kind: type) -> bool:
    """Tell whether targets of a type have attributes that must not be shown as the proxy's own.

    cloudpickle takes by value whatever shows the class of a function. numpy loses the dtype of text, dates and
    records where it finds `__array_struct__` on something that is not an array. The state of a proxy inside a proxy
    is not that of the outer one.
    """
    return kind is FunctionType or hasattr(kind, "__array_struct__") or issubclass(kind, Layout)


def _fast_form(form: Any, kind: type) -> Any:
    """Return the fast form of a form, for targets of a type."""
    operators = _BUILTIN.get(id(kind), ())
    careful = not operators and _needs_care(kind)
    attribute = "Builtin" if operators else "Careful" if careful else "Resolved"
    made = getattr(form, attribute, None)
    if made is None:
        methods, slots = form.__proxy_methods__, iter(_SLOTS)
        bound: list[tuple[Any, Any]] = []
        # Python would drop the hash from a class with an `__eq__` of its own.
        namespace = {"__proxy_fast__": True, "__proxy_bound__": bound, "__hash__": form.__hash__}
        for name, function in (_OPERATIONS | OPERATORS).items():
            if getattr(form, name, None) is not methods[name]:
                continue  # what a subclass of Proxy overrides stays as it is
            if name == "__getattribute__":
                # The latter is asked for what the target does not have.
                namespace |= {name: _careful_getattribute} if careful else {"__getattr__": methods[name]}
            elif name in OPERATORS and name not in operators:
                namespace[name] = methods[name].__wrapped__  # need not look at the form again
            if name not in namespace:
                namespace[name] = slot = next(slots)
                bound.append((slot.__set__, function))
        made = make_class(form, attribute, name_of(form), (form,), namespace)
    return made


def _careful_getattribute(self: Any, name: str) -> Any:
    target = read_target(self)
    if name[:1] != "_" and target is not UNRESOLVED:
        return getattr(target, name)
    if name == "__class__":
        return class_of(self, sys._getframe(1))  # noqa: SLF001  # as in Proxy.__getattribute__
    return type(self).__proxy_methods__["__getattribute__"](self, name)


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
