"""What is a proxy? An object that behaves like the one its factory returns, and calls it on first use."""

from __future__ import annotations

import copy
import sys
from types import GenericAlias
from typing import TYPE_CHECKING, Any

from psk.errors import InvalidFactoryError
from psk.proxy.layout import (
    FAST_OPERATIONS,
    UNRESOLVED,
    Layout,
    read_default_class,
    read_default_hash,
    read_factory,
    read_target,
    write_default_class,
    write_default_hash,
    write_factory,
    write_target,
)
from psk.proxy.operations import methods
from psk.proxy.resolution import target_of
from psk.proxy.resolved import (
    add_fast_forms,
    fast_target_of,
    forget_target,
    public_class,
    replace_target,
)

if TYPE_CHECKING:
    from collections.abc import Callable

# Attributes of the proxy itself; every other name is the target's.
_OWN_PREFIX = "__proxy_"
_OWN = frozenset({"__reduce__", "__reduce_ex__", "__copy__", "__deepcopy__"})
# Attributes of an array that would keep numpy from asking for `__array__`, which alone loses nothing.
_HIDDEN = frozenset({"__array_struct__", "__array_interface__"})
# Attributes that the proxy has where the target has none.
_FALLBACK = frozenset({"__array__", "__mro_entries__"})
# Modules that ask for the class only to choose how to serialise; to answer, a proxy would have to resolve.
_SERIALIZERS = frozenset({"cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"})
# Their hashes are the same in every process.
_PORTABLE_HASHES = frozenset({int, float, complex, bool})


class Proxy(Layout):
    """A transparent stand-in for a target, which is fetched by a factory on first use.

    Every operation and every attribute is the target's; `isinstance` holds for the target's class and for
    Proxy. Pickling or copying a proxy takes the factory along, never the target. The proxy's own attributes
    begin with `__proxy_`: `p.__proxy_factory__`; `p.__proxy_resolved__`; `p.__proxy_wrapped__`, the target,
    which can be set, and deleted to make the proxy unresolved again.

    A subclass may override operations; its own attributes must begin with `__proxy_` as well.

    Args:
        factory: Callable without arguments that returns the target. It is called once, by the first use,
            however many threads make it; a failed call is repeated by the next use.
        cache_defaults: Keep the class and hash of `target`, so that asking for them never resolves, not even
            after pickling.
        target: The target, where it is known already; None stands for unknown.

    Raises:
        InvalidFactoryError: If the factory cannot be called.
    """

    __slots__ = ()
    __module__ = "psk.proxy"
    __proxy_fast__ = False
    #: A method of subclasses that gives what `x += y` leaves in `x` where the target gave a new object; None is that.
    __proxy_rebind__: Any = None
    __class_getitem__: Any = classmethod(GenericAlias)

    def __init__(self, factory: Callable[[], Any], *, cache_defaults: bool = False, target: Any = None) -> None:
        if not callable(factory):
            raise InvalidFactoryError(
                f"a proxy needs a factory that can be called, not {type(factory).__name__!r}",
                remedy="pass a callable without arguments that returns the target, such as `lambda: target`",
            )
        write_factory(self, factory)
        if target is None:
            write_target(self, UNRESOLVED)
            return
        write_target(self, target)
        if cache_defaults:
            write_default_class(self, target.__class__)
            try:
                write_default_hash(self, hash(target))
            except TypeError:
                return

    def __init_subclass__(cls, *, fast_form: bool = False, **options: Any) -> None:
        if fast_form:
            return
        super().__init_subclass__(**options)
        add_fast_forms(cls, _PLAIN)

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return _class_of(self)
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
        elif name == "__orig_class__":
            # `Proxy[T](factory)` tries to leave its alias here; typing lets us decline.
            raise AttributeError(name)
        else:
            setattr(target_of(self), name, value)

    def __delattr__(self, name: str) -> None:
        if name.startswith(_OWN_PREFIX):
            object.__delattr__(self, name)
        else:
            delattr(target_of(self), name)

    def __hash__(self) -> int:  # type: ignore[override]  # Layout has none
        target = read_target(self)
        if target is UNRESOLVED:
            default_class, default_hash = _defaults(self)
            if default_hash is not None:
                return int(default_hash)
            if default_class is not None and default_class.__hash__ is None:
                raise TypeError(f"unhashable type: {default_class.__name__!r}")
            target = target_of(self)
        return hash(target)

    def __repr__(self) -> str:
        name = public_class(self).__name__
        target = read_target(self)
        if target is not UNRESOLVED:
            return f"<{name}: {target!r}>"
        try:
            of = f" of {read_default_class(self).__name__}"
        except AttributeError:
            of = ""
        return f"<unresolved {name}{of}: {read_factory(self)!r}>"

    def __reduce_ex__(self, protocol: Any) -> Any:
        cls, factory = public_class(self), read_factory(self)
        if cls is Proxy and hasattr(type(factory), "__reduce_proxy__"):
            return factory.__reduce_proxy__()
        default_class, default_hash = _defaults(self)
        if default_class not in _PORTABLE_HASHES:
            default_hash = None
        if not _is_importable(default_class):
            default_class = None
        known = (default_class, default_hash) if default_class is not None else ()
        return (rebuild_proxy, (cls, factory, *known))

    def __reduce__(self) -> Any:
        return type(self).__reduce_ex__(self, 4)

    def __copy__(self) -> Any:
        return rebuild_proxy(public_class(self), read_factory(self), *_defaults(self))

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        made = rebuild_proxy(public_class(self), None, *_defaults(self))
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


def _careful_getattribute(self: Any, name: str) -> Any:
    target = read_target(self)
    if name[:1] != "_" and target is not UNRESOLVED:
        return getattr(target, name)
    if name == "__class__":
        return _class_of(self)
    return Proxy.__getattribute__(self, name)  # type: ignore[misc]  # the slot of this name is for C


def _resolved_getattr(self: Any, name: str) -> Any:
    # Reached only after the target has refused the name: the common path stays in C.
    if name.startswith(_OWN_PREFIX):
        return object.__getattribute__(self, name)
    target = target_of(self)
    if name in _FALLBACK:
        return _fallback(target, name)
    return getattr(target, name)


def _fallback(target: Any, name: str) -> Any:
    numpy = sys.modules.get("numpy")
    if name == "__array__" and numpy is not None and not hasattr(target, name):
        # numpy would take a proxy of 3 for an object of unknown type.
        return lambda dtype=None, copy=None: numpy.array(target, dtype=dtype)  # noqa: ARG005  # always a new array
    if name == "__mro_entries__" and isinstance(target, type):
        return lambda _bases: (target,)
    return getattr(target, name)


def _class_of(proxy: Any) -> Any:
    if sys._getframe(2).f_globals.get("__name__") in _SERIALIZERS:  # noqa: SLF001  # no public way to see the caller
        return public_class(proxy)
    target = read_target(proxy)
    if target is not UNRESOLVED:
        return target.__class__
    try:
        return read_default_class(proxy)
    except AttributeError:
        pass
    return target_of(proxy).__class__


def _defaults(proxy: Any) -> tuple[Any, Any]:
    try:
        default_class = read_default_class(proxy)
    except AttributeError:
        default_class = None
    try:
        default_hash = read_default_hash(proxy)
    except AttributeError:
        default_hash = None
    return default_class, default_hash


def _is_importable(cls: Any) -> bool:
    found: Any = sys.modules.get(getattr(cls, "__module__", ""))
    for part in getattr(cls, "__qualname__", "").split("."):
        found = getattr(found, part, None)
    return found is cls


def rebuild_proxy(cls: Any, factory: Any, default_class: Any = None, default_hash: Any = None) -> Any:
    """Make an unresolved proxy of a given class, without calling its `__init__`."""
    made = object.__new__(cls)
    write_factory(made, factory)
    write_target(made, UNRESOLVED)
    if default_class is not None:
        write_default_class(made, default_class)
    if default_hash is not None:
        write_default_hash(made, default_hash)
    return made


def make_proxy(factory: Callable[[], Any], default_class: type | None = None, default_hash: int | None = None) -> Any:
    """Make an unresolved proxy whose class or hash is known beforehand.

    Args:
        factory: Callable without arguments that returns the target.
        default_class: The target's class, if known: `isinstance` and `p.__class__` then do not resolve.
        default_hash: The target's hash, if known: `hash(p)` then does not resolve.
    """
    return rebuild_proxy(Proxy, factory, default_class, default_hash)


for _name, _method in methods().items():
    setattr(Proxy, _name, _method)
_PLAIN = {name: vars(Proxy)[name] for name in FAST_OPERATIONS}
_PLAIN |= {"__getattr__": _resolved_getattr, "careful": _careful_getattribute}
add_fast_forms(Proxy, _PLAIN)
