"""The proxy: an object that behaves like the one its factory returns, and calls the factory on first use."""

from __future__ import annotations

import copy
import sys
from types import GenericAlias
from typing import TYPE_CHECKING, Any, ClassVar, Never

from psk.errors import InvalidFactoryError
from psk.proxy.fastpath import fast_target_of, forget_target, replace_target
from psk.proxy.forms import ALL, BUFFER, OPTIONAL, Layout, form_claiming, prepare_class
from psk.proxy.operations import OPERATIONS
from psk.proxy.target import (
    UNRESOLVED,
    adopt_target,
    claim_known_protocols,
    class_of,
    form_for,
    known_class,
    known_hash,
    public_class,
    read_factory,
    read_target,
    target_of,
    write_default_class,
    write_default_hash,
    write_factory,
    write_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Attributes of the proxy itself; every other name is the target's.
_OWN_PREFIX = "__proxy_"
_OWN = frozenset({"__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__"})
# Attributes of an array that numpy would prefer to `__array__`, the only one that loses nothing.
_HIDDEN = frozenset({"__array_struct__", "__array_interface__"})
# Attributes that the proxy has where the target has none.
_FALLBACK = frozenset({"__array__", "__conform__", "__mro_entries__"})
# Their hashes are the same in every process.
_PORTABLE_HASHES = (int, float, complex, bool)


class Proxy(Layout):
    """A transparent stand-in for a target, which is fetched by a factory on first use.

    Every operation and every attribute is the target's; `isinstance` holds for the target's class and for
    Proxy. Pickling or copying a proxy takes the factory along, never the target. The proxy's own attributes
    begin with `__proxy_`: `p.__proxy_factory__`; `p.__proxy_resolved__`; `p.__proxy_wrapped__`, the target,
    which can be set, and deleted to make the proxy unresolved again.

    A subclass may override operations; its own attributes must begin with `__proxy_` as well.

    Args:
        factory: Callable without arguments that returns the target. The first use calls it, once, even if several
            threads use the proxy at the same time; after a failure the next use calls it again.
        cache_defaults: Keep the class and hash of `target`, so that reading them never resolves the proxy, not even
            after pickling.
        target: The target, if it is known already; None means unknown.

    Raises:
        InvalidFactoryError: The factory is not callable.
    """

    __slots__ = ()
    __module__ = "psk.proxy"
    __proxy_fast__ = False
    #: A method of subclasses that returns the value of `x` after `x += y` if the target returned a new object; None
    #: means that object.
    __proxy_rebind__: Any = None
    #: Every method by name. Those of OPTIONAL are not in Proxy itself, but in the forms whose targets have them.
    __proxy_methods__: ClassVar[dict[str, Any]]
    __proxy_protocols__: int
    __proxy_unresolved__: Any
    __class_getitem__: Any = classmethod(GenericAlias)

    def __new__(cls, *_arguments: Any, **_options: Any) -> Any:
        """Make a proxy, to which `__init__` gives its factory."""
        made = object.__new__(cls.__proxy_unresolved__)
        write_factory(made, no_factory)
        write_target(made, UNRESOLVED)
        return made

    def __init__(self, factory: Callable[[], Any], *, cache_defaults: bool = False, target: Any = None) -> None:
        if not callable(factory):
            raise InvalidFactoryError(
                f"a proxy needs a callable factory, not {type(factory).__name__!r}",
                remedy="pass a callable without arguments that returns the target, such as `lambda: target`",
            )
        write_factory(self, factory)
        if target is None:
            return
        adopt_target(self, target)
        if cache_defaults:
            write_default_class(self, target.__class__)
            try:
                write_default_hash(self, hash(target))
            except TypeError:
                return

    def __init_subclass__(cls, *, form: bool = False, **options: Any) -> None:
        if not form:
            super().__init_subclass__(**options)
            prepare_class(cls)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return class_of(self, sys._getframe(1))  # noqa: SLF001  # no public way to see the caller
        if name[:2] != "__":
            return getattr(fast_target_of(self), name)
        if name.startswith(_OWN_PREFIX) or name in _OWN:
            return object.__getattribute__(self, name)
        target = fast_target_of(self)
        if name in _HIDDEN and hasattr(type(target), name):
            raise AttributeError(f"{type(target).__name__!r} behind a proxy does not show {name}; use extract()")
        if name in _FALLBACK:
            return _fallback(target, name)
        return getattr(target, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith(_OWN_PREFIX):
            object.__setattr__(self, name, value)
            if name == "__proxy_default_class__":
                claim_known_protocols(self)
        elif name == "__orig_class__":
            # `Proxy[T](factory)` tries to leave its alias here; typing lets us decline.
            raise AttributeError(name)
        else:
            setattr(target_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        if name.startswith(_OWN_PREFIX):
            object.__delattr__(self, name)
            if name == "__proxy_default_class__":
                claim_known_protocols(self)
        else:
            delattr(target_of(self), name)

    def __hash__(self) -> int:
        target = read_target(self)
        if target is UNRESOLVED:
            default_hash = known_hash(self)
            if default_hash is not None:
                return int(default_hash)
            default_class = known_class(self)
            if default_class is not None and default_class.__hash__ is None:
                raise TypeError(f"unhashable type: {default_class.__name__!r}")
            target = target_of(self)
        return hash(target)

    def __repr__(self) -> str:
        name = public_class(self).__name__
        target = read_target(self)
        if target is not UNRESOLVED:
            return f"<{name}: {target!r}>"
        default_class = known_class(self)
        of = "" if default_class is None else f" of {default_class.__name__}"
        return f"<unresolved {name}{of}: {read_factory(self)!r}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        cls, factory = public_class(self), read_factory(self)
        if cls is Proxy and hasattr(type(factory), "__reduce_proxy__"):
            return factory.__reduce_proxy__()
        known: tuple[Any, ...] = ()
        default_class = known_class(self)
        if _is_importable(default_class):
            known = default_class, known_hash(self) if any(default_class is kind for kind in _PORTABLE_HASHES) else None
        elif type(self).__proxy_protocols__ != ALL:
            known = None, None, type(self).__proxy_protocols__
        return (rebuild_proxy, (cls, factory, *known))

    def __reduce__(self) -> Any:
        return type(self).__reduce_ex__(self, 4)

    def __copy__(self) -> Any:
        return _copy_of(self, read_factory(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = _copy_of(self, None)
        memo[id(self)] = made
        write_factory(made, copy.deepcopy(read_factory(self), memo))
        return made

    @property
    def __proxy_wrapped__(self) -> Any:
        return target_of(self)

    @__proxy_wrapped__.setter
    def __proxy_wrapped__(self, target: Any) -> None:
        replace_target(self, target)

    @__proxy_wrapped__.deleter
    def __proxy_wrapped__(self) -> None:
        forget_target(self)

    @property
    def __proxy_resolved__(self) -> bool:
        return read_target(self) is not UNRESOLVED


def _fallback(target: Any, name: str) -> Any:
    numpy = sys.modules.get("numpy")
    if name == "__array__" and numpy is not None and not hasattr(target, name):
        # Without it numpy treats a proxy of 3 as an object of unknown type.
        return lambda dtype=None, copy=None: numpy.array(target, dtype=dtype)  # noqa: ARG005  # always a new array
    if name == "__conform__" and not hasattr(target, name):
        return lambda _protocol: target  # how sqlite3 asks for a value that it can store
    if name == "__mro_entries__" and isinstance(target, type):
        return lambda _bases: (target,)
    return getattr(target, name)


def _is_importable(cls: Any) -> bool:
    found: Any = sys.modules.get(getattr(cls, "__module__", ""))
    for part in getattr(cls, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is cls


def rebuild_proxy(
    cls: Any, factory: Any, default_class: Any = None, default_hash: Any = None, protocols: Any = None
) -> Any:
    """Make an unresolved proxy of a given class, without calling its `__init__`."""
    if default_class is not None:
        form = form_for(cls, default_class)
    else:
        form = cls.__proxy_unresolved__ if protocols is None else form_claiming(cls, protocols)
    made = object.__new__(form)
    write_factory(made, factory)
    write_target(made, UNRESOLVED)
    write_default_class(made, default_class)
    write_default_hash(made, default_hash)
    return made


rebuild_proxy.__module__ = "psk.proxy"  # where pickles name it


def make_proxy(
    factory: Callable[[], Any],
    default_class: type | None = None,
    default_hash: int | None = None,
    *,
    protocols: int | None = None,
    target: Any = None,
    cls: Any = Proxy,
) -> Any:
    """Make a proxy whose target is known in advance, in part or in full.

    Args:
        factory: Callable without arguments that returns the target.
        default_class: The target's class, if known: `isinstance` and `p.__class__` then do not resolve.
        default_hash: The target's hash, if known: `hash(p)` then does not resolve.
        protocols: The result of `protocols_of` for the target, if this is known and its class is not.
        target: The target, for a proxy that is resolved from the beginning; None means unknown.
        cls: The class of the proxy, Proxy or one of its subclasses; its `__init__` is not called.
    """
    if target is not None:
        made = object.__new__(form_for(cls, type(target)))
        write_factory(made, factory)
        write_target(made, target)
        return made
    return rebuild_proxy(cls, factory, default_class, default_hash, protocols)


def protocols_of(target: Any) -> int:
    """Return the protocols of an object's type, as a number that means the same in every process."""
    bits: int = form_for(Proxy, type(target)).__proxy_protocols__
    if sys.version_info < (3, 12):
        # These versions do not show it by the type, and readers with a newer Python need it.
        try:
            memoryview(target).release()
        except (TypeError, ValueError, BufferError):
            pass
        else:
            bits |= BUFFER
    return bits


def _copy_of(proxy: Any, factory: Any) -> Any:
    protocols = type(proxy).__proxy_protocols__
    return rebuild_proxy(public_class(proxy), factory, known_class(proxy), known_hash(proxy), protocols)


def no_factory() -> Never:
    """Raise the error of a proxy that was made without a factory.

    Raises:
        InvalidFactoryError: Always.
    """
    raise InvalidFactoryError(
        "this proxy was made without a factory",
        remedy="call the class with a factory; a subclass must call super().__init__(factory)",
    )


for _name in OPERATIONS.keys() - OPTIONAL:
    setattr(Proxy, _name, OPERATIONS[_name])
Proxy.__proxy_methods__ = OPERATIONS | {"__getattribute__": Proxy.__getattribute__, "__hash__": Proxy.__hash__}
prepare_class(Proxy)
