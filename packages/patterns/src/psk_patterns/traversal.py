"""Traverse and rebuild nested structures without recursion, and without resolving the proxies in them."""

from __future__ import annotations

import copy
import copyreg
from collections import OrderedDict, defaultdict
from enum import Enum
from typing import TYPE_CHECKING, Any

from psk.errors import InvalidArgumentError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

_SEQUENCES = frozenset({list, tuple})
_MAPPINGS = frozenset({dict, OrderedDict, defaultdict})
#: Types that contain no proxy, and nothing that could become one.
PLAIN = frozenset({int, float, complex, bool, str, bytes, bytearray, type(None)})


def transform(obj: Any, function: Callable[[Any], Any], *, leaves_only: bool = True) -> Any:
    """Rebuild a nested structure with each leaf replaced by `function(leaf)`.

    Structures are lists, tuples, named tuples, dicts (their values; keys are kept), dataclasses and attrs classes.
    Everything else is a leaf: also a proxy, which is not resolved, and an object that is unique, such as a member of an
    Enum or a dataclass whose copy is itself. An object that occurs several times is passed to `function` once. A
    structure in which nothing changed is returned as it is; others are new, and the originals are not modified. A
    rebuilt dataclass does not run `__init__`.

    Args:
        obj: A leaf or a structure, nested to any depth.
        function: Called with each leaf, in order; returns its replacement.
        leaves_only: If False, `function` is also called with each structure, before its parts. If it returns another
            object, that replaces the structure, whose parts are not visited.

    Raises:
        InvalidArgumentError: A structure contains itself.
    """
    done: dict[int, tuple[Any, Any]] = {}  # id -> the value, kept so that its id is not reused, and its replacement
    opened: set[int] = set()
    todo: list[tuple[Any, Sequence[Any] | None]] = [(obj, None)]
    while todo:
        value, parts = todo.pop()
        mark = id(value)
        if parts is not None:
            opened.remove(mark)
            done[mark] = value, _rebuilt(value, parts, [done[id(part)][1] for part in parts])
            continue
        if mark in done:
            continue
        if mark in opened:
            raise InvalidArgumentError(
                f"a {type(value).__qualname__} contains itself, so its leaves cannot be listed or replaced",
                remedy="pass a structure without cycles, or pass this object whole",
            )
        parts = _parts_of(value)
        if parts is None or not leaves_only:
            answer = function(value)
            if parts is None or answer is not value:
                done[mark] = value, answer
                continue
        if PLAIN.issuperset(map(type, parts)):  # a fast path for long lists of numbers
            for part in parts:
                if id(part) not in done:
                    done[id(part)] = part, function(part)
            done[mark] = value, _rebuilt(value, parts, [done[id(part)][1] for part in parts])
            continue
        opened.add(mark)
        todo.append((value, parts))
        todo.extend((part, None) for part in reversed(parts))
    return done[id(obj)][1]


def leaves(obj: Any) -> Iterator[Any]:
    """Iterate over the leaves of a nested structure, in order, each once; see `transform` for what a leaf is.

    Raises:
        InvalidArgumentError: A structure contains itself.
    """
    found: list[Any] = []

    def collect(leaf: Any) -> Any:
        found.append(leaf)
        return leaf

    transform(obj, collect)
    return iter(found)


def is_structure(value: Any) -> bool:
    """Return whether `transform` visits the parts of a value; a proxy is not resolved to find out."""
    return _parts_of(value) is not None


def _parts_of(value: Any) -> Sequence[Any] | None:
    """Return the parts of a structure, or None for a leaf."""
    cls = type(value)  # not __class__ or isinstance, which would resolve a proxy
    if cls in _SEQUENCES:
        return tuple(value)
    if cls in _MAPPINGS:
        return tuple(value.values())
    if issubclass(cls, Enum):
        return None
    if _is_named_tuple(cls):
        return tuple(value)
    names = _fields_of(value)
    if names is None or _is_its_copy(value):
        return None
    return tuple(getattr(value, name) for name in names)


def _is_its_copy(value: Any) -> bool:
    """Return whether copying returns the value itself, so that there can be no other."""
    cls: Any = type(value)
    own = hasattr(cls, "__copy__") or cls in copyreg.dispatch_table
    own = own or cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__
    return own and copy.copy(value) is value


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _fields_of(value: Any) -> Sequence[str] | None:
    """Return the names of the fields that are set, or None for what is neither a dataclass nor of attrs."""
    cls: Any = type(value)
    if hasattr(cls, "__dataclass_fields__"):
        from dataclasses import fields  # expensive, and already imported where there is a dataclass

        return [field.name for field in fields(cls) if hasattr(value, field.name)]
    if hasattr(cls, "__attrs_attrs__"):
        return [field.name for field in cls.__attrs_attrs__ if hasattr(value, field.name)]
    return None


def _rebuilt(value: Any, parts: Sequence[Any], changed: Sequence[Any]) -> Any:
    if all(new is old for new, old in zip(changed, parts, strict=True)):
        return value
    cls = type(value)
    if cls is list:
        return list(changed)
    if issubclass(cls, tuple):
        return tuple.__new__(cls, changed)  # a named tuple's own __new__ takes its fields one by one
    made = copy.copy(value)
    if cls in _MAPPINGS:
        made.update(zip(value, changed, strict=True))
        return made
    for name, new, old in zip(_fields_of(value) or (), changed, parts, strict=True):
        if new is not old:
            object.__setattr__(made, name, new)  # also where the class is frozen
    return made
