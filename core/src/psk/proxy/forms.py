"""The classes of proxies: one for each set of protocols, so that a proxy has the methods that its target has."""

from __future__ import annotations

import copy
import copyreg
from abc import ABCMeta
from functools import lru_cache
from typing import Any


class Layout:
    """The memory of every proxy, in whatever form; one layout for all lets a proxy change its class.

    The numbered slots hold C callables bound to the target, each for the operation that the proxy's fast form chose
    (`psk.proxy.fastpath`). The others are the proxy's own state (`psk.proxy.target`).
    """

    __slots__ = (
        "__proxy_default_class__",
        "__proxy_default_hash__",
        "__proxy_factory__",
        "__proxy_target__",
        "__weakref__",
        *(f"__proxy_operation_{number}__" for number in range(14)),  # as many as an int needs
    )


# Python, its abstract classes and many libraries look at the methods of a type to find out what an object can do. These
# are the methods that they look for; a set of them is a number, with one bit for each. The numbers travel in
# references, so append, never renumber. The most frequent ones come first, which keeps references short.
_METHODS = (
    *("__hash__", "__iter__", "__len__", "__contains__", "__getitem__", "__reversed__"),
    *("", ""),  # the flags that sequence patterns and mapping patterns ask for
    *("__call__", "__enter__", "__exit__", "__int__", "__float__", "__index__", "__buffer__", "__next__"),
    *("__trunc__", "__complex__", "__fspath__"),
    *("__await__", "__aiter__", "__anext__", "__aenter__", "__aexit__"),
    "",  # the object is a class, which is subscripted without being a sequence
)
_SEQUENCE, _MAPPING, _CLASS = 1 << 6, 1 << 7, 1 << 24
_EVERY = (1 << len(_METHODS)) - 1
_HEAP_TYPE = 1 << 9  # Py_TPFLAGS_HEAPTYPE
_BIT = {name: 1 << place for place, name in enumerate(_METHODS) if name}
BUFFER = _BIT["__buffer__"]
ALL = _EVERY & ~_SEQUENCE & ~_MAPPING & ~_CLASS
"""The protocols of a proxy while nothing is known of its target. No pattern matches it: one flag excludes the other."""

OPTIONAL = frozenset(_BIT) - {"__hash__"}
"""The methods that a proxy has only if its target has them; Proxy itself has all others."""

_TEXTS = (str, bytes, bytearray, memoryview)
_MOST_NAMED = 1000
_flags_of = vars(type)["__flags__"].__get__
_mro_of = vars(type)["__mro__"].__get__
_module_of = vars(type)["__module__"].__get__
name_of = vars(type)["__name__"].__get__
_dict_of = vars(type)["__dict__"].__get__
_operations: dict[int, type] = {}

Traits = tuple[int, str]
"""A set of protocols, and the name of the target's type or an empty text."""


# Abstract classes that give the classes registered with them the flag of a pattern, and nothing else:
# Py_TPFLAGS_SEQUENCE and Py_TPFLAGS_MAPPING.
_PATTERNS = {
    _SEQUENCE: ABCMeta("_SequencePattern", (), {"__abc_tpflags__": 1 << 5}),
    _MAPPING: ABCMeta("_MappingPattern", (), {"__abc_tpflags__": 1 << 6}),
}


class FormType(type):
    """The metaclass of forms, which gives a form the name of the class that the proxy was made with.

    Messages of C code show the form's own name, `Proxy of list`: a message about a missing operation must name the
    target's type, and "expected str instance, str found" would not help.
    """

    __proxy_public__: Any

    def __call__(cls, *arguments: Any, **options: Any) -> Any:
        """Make a proxy of the class that the form is of, as `type(proxy)(factory)` asks."""
        return cls.__proxy_public__(*arguments, **options)

    @property
    def __name__(cls) -> str:  # type: ignore[override]
        return str(cls.__proxy_public__.__name__)


def traits_of(kind: type) -> Traits:
    """Return the protocols of a type, and its name."""
    bits = sum(bit for name, bit in _BIT.items() if _has(kind, name))
    flags = _flags_of(kind)
    bits |= flags >> 5 & 1 and _SEQUENCE
    bits |= flags >> 6 & 1 and _MAPPING
    # Operations that depend on the type of the object instead of a method.
    if issubclass(kind, _TEXTS):
        bits |= _BIT["__int__"] | _BIT["__float__"] | _BIT["__complex__"]
    if issubclass(kind, (str, bytes)):
        bits |= _BIT["__fspath__"]
    if issubclass(kind, type):
        bits |= _BIT["__getitem__"] | _CLASS
    name = name_of(kind)
    if not flags & _HEAP_TYPE and _module_of(kind) != "builtins":
        name = f"{_module_of(kind)}.{name}"  # as in Python's messages about types written in C
    return bits, name


def _has(kind: type, name: str) -> bool:
    for base in _mro_of(kind):
        found = _dict_of(base).get(name, _MISSING)
        if found is not _MISSING:
            return found is not None
    return False


_MISSING = object()


def form_of(cls: Any, traits: Traits) -> Any:
    """Return the class of proxies that were made as a `cls`, and whose targets have certain traits."""
    try:
        return cls.__proxy_forms__[traits]
    except KeyError:
        return _make_form(cls, traits)


def form_claiming(cls: Any, protocols: int) -> Any:
    """Return the class of proxies whose targets are said to have exactly these protocols."""
    traits = protocols & _EVERY, ""
    if traits not in cls.__proxy_forms__ and len(cls.__proxy_forms__) >= _MOST_NAMED:
        return cls.__proxy_unresolved__  # hostile references must not fill the memory with classes
    return form_of(cls, traits)


def prepare_class(cls: Any) -> None:
    """Prepare a class of proxies for having forms."""
    cls.__proxy_public__ = cls
    cls.__proxy_forms__ = {}
    cls.__proxy_form_for__ = {}
    cls.__proxy_unresolved__ = form_of(cls, (ALL, ""))
    _register(cls)


def _make_form(cls: Any, traits: Traits) -> Any:
    bits, name = traits
    if name and len(cls.__proxy_forms__) >= _MOST_NAMED:
        return form_of(cls, (bits, ""))
    # A subclass keeps the methods that it overrides, whatever the target has, and so does its `super()`.
    for base in cls.__mro__[: cls.__mro__.index(Layout)]:
        bits |= sum(_BIT[method] for method in OPTIONAL.intersection(vars(base)))
    namespace: dict[str, Any] = {"__proxy_protocols__": traits[0]}
    if not bits & _BIT["__hash__"] and cls.__hash__ is cls.__proxy_methods__["__hash__"]:
        namespace["__hash__"] = None
    of = f"{cls.__name__} of {name}" if name else cls.__name__
    form = make_class(cls, f"Form_{bits:x}_{name.replace('.', '_')}", of, (cls, _operations_of(cls, bits)), namespace)
    return cls.__proxy_forms__.setdefault(traits, form)


def _operations_of(cls: Any, bits: int) -> type:
    """Return the class that has the methods of a set of protocols, and the flag that patterns ask for."""
    made = _operations.get(bits)
    if made is None:
        methods = cls.__proxy_methods__
        namespace = {name: methods[name] for name in OPTIONAL & methods.keys() if bits & _BIT[name]}
        if bits & _CLASS:
            # Python would iterate over `list[0]`, `list[1]`, ..., without end.
            namespace = {"__iter__": None, "__reversed__": None} | namespace
        made = type("Operations", (), {"__slots__": (), **namespace})
        for bit, pattern in _PATTERNS.items():
            if bits & bit:
                pattern.register(made)
        _operations[bits] = made
    return made


def make_class(owner: Any, attribute: str, name: str, bases: tuple[Any, ...], namespace: dict[str, Any]) -> Any:
    """Make a class that proxies can change to, and keep it as an attribute of the class that it is made for."""
    public: Any = owner.__proxy_public__
    metaclass: Any = type(public)
    namespace |= {
        "__slots__": (),
        "__module__": public.__module__,
        # Where pickle and cloudpickle look for it when `type(proxy)` is pickled.
        "__qualname__": f"{owner.__qualname__}.{attribute}",
        "__doc__": public.__doc__,
    }
    made = _metaclass(metaclass)(name, bases, namespace, form=True)
    setattr(owner, attribute, made)
    _register(made)
    return made


@lru_cache
def _metaclass(own: Any) -> Any:
    made = FormType if own is type else type("FormType", (FormType, own), {})
    # A pickled form is the class that the proxy was made with.
    copyreg.pickle(made, lambda form: (getattr, (form.__proxy_public__, "__proxy_public__")))
    return made


def _register(cls: Any) -> None:
    # A fast form answers an instance's `__reduce_ex__` and `__deepcopy__` with the target's; pickle and copy ask
    # these tables first.
    copyreg.pickle(cls, lambda proxy: cls.__reduce_ex__(proxy, 4))
    deepcopy: dict[type, Any] = copy._deepcopy_dispatch  # type: ignore[attr-defined]  # noqa: SLF001  # no other way in
    deepcopy[cls] = cls.__deepcopy__
