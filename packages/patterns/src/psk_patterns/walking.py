"""How is a nested structure searched and rebuilt? Without recursion, without resolving a proxy that it meets."""

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
_PLAIN = frozenset({int, float, complex, bool, str, bytes, type(None)})


def transform(obj: Any, function: Callable[[Any], Any], *, leaves_only: bool = True) -> Any:
    """Rebuild a nested structure with `function(leaf)` in the place of each leaf.

    Structures are lists, tuples, named tuples, dicts (their values; keys stay as they are), dataclasses and classes
    of attrs; everything else is a leaf, a proxy too, which is not resolved, and whatever there is only one of: a member
    of an Enum, a dataclass whose copy is itself. What stands in several places is handed to `function` once. Where
    nothing below it changed, a structure is the original itself; others are new, and the originals stay as they were.
    A rebuilt dataclass does not run `__init__`.

    Args:
        obj: A leaf or a structure, nested as deeply as you like.
        function: Called with each leaf, in order; returns what takes its place.
        leaves_only: False shows `function` the structures too, each before what is in it; one that it does
            not give back as it is, is replaced by its answer, and not entered.

    Raises:
        InvalidArgumentError: A structure contains itself.
    """
    done: dict[int, tuple[Any, Any]] = {}  # id -> the value, held so that its id stays its own, and its replacement
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
        _refuse_cycle(value, mark in opened)
        parts = _parts_of(value)
        if parts is None or not leaves_only:
            answer = function(value)
            if parts is None or answer is not value:
                done[mark] = value, answer
                continue
        if _PLAIN.issuperset(map(type, parts)):  # a short cut past `todo`, for long lists of numbers
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
    """Give the leaves of a nested structure, in order, each once; what they are is said at `transform`.

    Raises:
        InvalidArgumentError: A structure contains itself.
    """
    found: list[Any] = []

    def note(leaf: Any) -> Any:
        found.append(leaf)
        return leaf

    transform(obj, note)
    return iter(found)


def is_structure(value: Any) -> bool:
    """Tell whether `transform` looks into a value; a proxy is not resolved to find out."""
    return _parts_of(value) is not None


def _parts_of(value: Any) -> Sequence[Any] | None:
    """Give what a structure consists of, or None for a leaf."""
    cls = type(value)  # a proxy's own, whereas __class__ and isinstance would ask its target
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
    """Tell whether copying gives the value itself, so that a rebuilt one would not be another."""
    cls: Any = type(value)
    own = hasattr(cls, "__copy__") or cls in copyreg.dispatch_table
    own = own or cls.__reduce_ex__ is not object.__reduce_ex__ or cls.__reduce__ is not object.__reduce__
    return own and copy.copy(value) is value


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and hasattr(cls, "_fields")


def _fields_of(value: Any) -> Sequence[str] | None:
    """Name the fields of a dataclass that are set, or None if it is none."""
    cls: Any = type(value)
    if hasattr(cls, "__dataclass_fields__"):
        from dataclasses import fields  # costs milliseconds; whoever has a dataclass has it

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
        return tuple.__new__(cls, changed)  # a named tuple's own __new__ wants to know names
    made = copy.copy(value)
    if cls in _MAPPINGS:
        made.update(zip(value, changed, strict=True))
        return made
    for name, new, old in zip(_fields_of(value) or (), changed, parts, strict=True):
        if new is not old:
            object.__setattr__(made, name, new)  # a frozen one as well
    return made


def _refuse_cycle(value: Any, found: bool) -> None:
    if found:
        raise InvalidArgumentError(
            f"a {type(value).__qualname__} contains itself, so its leaves cannot be listed or replaced",
            remedy="pass a structure without cycles, or pass this object whole",
        )
