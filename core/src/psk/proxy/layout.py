"""Where does a proxy keep what it knows? In these slots, read and written past its own attribute access."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Layout:
    """The memory of every proxy, resolved or not.

    The slots that carry the names of operations hold C callables bound to the target once there is one; the
    fast forms of a proxy's class have them in place of methods, so that the operation needs no Python frame. The
    others are the proxy's own state. A slot that was never filled means "not known".
    """

    __slots__ = (
        "__proxy_call__",
        "__proxy_default_class__",
        "__proxy_default_hash__",
        "__proxy_eq__",
        "__proxy_factory__",
        "__proxy_getattribute__",
        "__proxy_getitem__",
        "__proxy_len__",
        "__proxy_target__",
        "__weakref__",
    )


_SLOTS: dict[str, Any] = dict(vars(Layout))

read_target: Callable[[Any], Any] = _SLOTS["__proxy_target__"].__get__
read_factory: Callable[[Any], Any] = _SLOTS["__proxy_factory__"].__get__
read_default_class: Callable[[Any], Any] = _SLOTS["__proxy_default_class__"].__get__
read_default_hash: Callable[[Any], Any] = _SLOTS["__proxy_default_hash__"].__get__

write_target: Callable[[Any, Any], None] = _SLOTS["__proxy_target__"].__set__
write_factory: Callable[[Any, Any], None] = _SLOTS["__proxy_factory__"].__set__
write_default_class: Callable[[Any, Any], None] = _SLOTS["__proxy_default_class__"].__set__
write_default_hash: Callable[[Any, Any], None] = _SLOTS["__proxy_default_hash__"].__set__


class _Unresolved:
    """The type of UNRESOLVED; an empty slot would say the same, but reading one costs an exception."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "UNRESOLVED"


UNRESOLVED = _Unresolved()

# The operations fast enough in C to be worth a slot each.
FAST_OPERATIONS = ("__getattribute__", "__len__", "__getitem__", "__eq__", "__call__")
fast_slots: dict[str, Any] = {name: _SLOTS[f"__proxy_{name.strip('_')}__"] for name in FAST_OPERATIONS}


def is_proxy(value: object) -> bool:
    """Tell whether a value is a proxy, without asking the value."""
    return issubclass(type(value), Layout)
