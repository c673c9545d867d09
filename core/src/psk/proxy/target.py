"""The state of a proxy, and the functions that read it, resolve the proxy, or lock it away."""

from __future__ import annotations

import sys
from _thread import TIMEOUT_MAX, get_ident
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast
from weakref import ref

from psk import background
from psk.errors import NotAProxyError, ProxyLockedError, ProxyResolveError
from psk.proxy.forms import Layout, form_of, traits_of
from psk.singleflight import SingleFlight

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

    from psk.proxy.stub import Proxy
    from psk.singleflight import Flight

T = TypeVar("T")

# A proxy's attributes are its target's, so its own state is read and written by the descriptors of its slots. A slot
# that was never filled means "not known".
_SLOTS: dict[str, Any] = dict(vars(Layout))

read_target: Callable[[Any], Any] = _SLOTS["__proxy_target__"].__get__
read_factory: Callable[[Any], Any] = _SLOTS["__proxy_factory__"].__get__
read_default_class: Callable[[Any], Any] = _SLOTS["__proxy_default_class__"].__get__
read_default_hash: Callable[[Any], Any] = _SLOTS["__proxy_default_hash__"].__get__
write_target: Callable[[Any, Any], None] = _SLOTS["__proxy_target__"].__set__
write_factory: Callable[[Any, Any], None] = _SLOTS["__proxy_factory__"].__set__
write_default_class: Callable[[Any, Any], None] = _SLOTS["__proxy_default_class__"].__set__
write_default_hash: Callable[[Any, Any], None] = _SLOTS["__proxy_default_hash__"].__set__
set_class: Callable[[Any, Any], None] = vars(object)["__class__"].__set__

# By their addresses: a metaclass may make its classes unhashable.
_HASHED_BY_VALUE = frozenset(map(id, (int, float, complex, bool, str, bytes, type(None))))
# Modules that ask for the class only to choose how to serialise; to answer, a proxy would have to resolve.
_SERIALIZERS = frozenset({"cloudpickle.cloudpickle", "cloudpickle.cloudpickle_fast"})
# A signal handler or a finaliser may use the proxy that its thread is resolving, and another may come in between.
_DEEPEST = 8


UNRESOLVED: Any = object()
"""What the slot of the target holds; an empty slot would say the same, but reading one costs an exception."""


class _Resolutions(SingleFlight):
    __slots__ = ()

    patience = TIMEOUT_MAX  # a factory may wait for whatever it likes

    def reenter(self, flight: Flight, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        """Call the factory again, unless the nesting is so deep that the factory itself must want its proxy."""
        is_ring = flight.leader != get_ident() and not sys.is_finalizing()
        if is_ring or flight.reentered >= _DEEPEST:
            raise ProxyResolveError(
                f"cannot resolve {arguments[0]!r}: its factory uses the proxy that it is asked to resolve",
                remedy="let the factory build the target without its own proxy",
            )
        flight.reentered += 1
        try:
            return work(*arguments)
        finally:
            flight.reentered -= 1


_resolutions = _Resolutions()


def is_proxy(value: object) -> bool:
    """Tell whether a value is a proxy, without asking the value."""
    return issubclass(type(value), Layout)


def target_of(proxy: Any) -> Any:
    """Return the target of a proxy, calling its factory if it has none yet.

    However many threads ask, the factory is called once; they all get its result, or its failure. A failure is not
    kept: the next caller calls the factory again.

    Raises:
        ProxyResolveError: The factory failed, or needs its own proxy to make its target.
    """
    target = read_target(proxy)
    return resolve_target(proxy) if target is UNRESOLVED else target


def resolve_target(proxy: Any) -> Any:
    """Do what `target_of` does, for a proxy that was found unresolved a moment ago."""
    return _resolutions.run(id(proxy), _make_target, (proxy,))


def _make_target(proxy: Any) -> Any:
    # Another thread may have resolved it between our caller's look and our turn.
    target = read_target(proxy)
    if target is not UNRESOLVED:
        return target
    try:
        made = read_factory(proxy)()
    except Exception as error:
        target = read_target(proxy)
        if target is not UNRESOLVED:  # a nested call has resolved it, and took the object if the factory evicts
            return target
        if isinstance(error, ProxyResolveError):
            raise
        detail = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ProxyResolveError(
            f"cannot resolve {proxy!r}: its factory raised {detail}",
            remedy="see `cause` for the original error; the next use of the proxy calls the factory again",
        ) from error
    # A nested call that has resolved it goes on using the target that it got.
    target = read_target(proxy)
    if target is UNRESOLVED:
        adopt_target(proxy, made)
        return made
    return target


def form_for(cls: Any, kind: type) -> Any:
    """Return the class of proxies that were made as a `cls`, and whose targets are of a type."""
    try:
        return cls.__proxy_form_for__[id(kind)][0]
    except KeyError:
        form = form_of(cls.__proxy_public__, traits_of(kind))
    # By the address: a metaclass may make its classes unhashable. The entry ends with the type, which is not held.
    known, address = cls.__proxy_form_for__, id(kind)
    known[address] = form, ref(kind, lambda _gone: known.pop(address, None))
    return form


def adopt_target(proxy: Any, target: Any) -> None:
    """Give a proxy its target, and the class that has the target's protocols."""
    try:
        write_target(proxy, target)
        while True:
            set_class(proxy, form_for(type(proxy), type(target)))
            # Without a lock: the thread that sets the class last has seen the target that the proxy has now.
            current = read_target(proxy)
            if current is target or current is UNRESOLVED:
                return
            target = current
    except BaseException:
        # An interrupt: a proxy that has a target must have its protocols, for no later use sets them.
        set_class(proxy, form_for(type(proxy), type(target)))
        raise


def public_class(proxy: Any) -> Any:
    """Return the class that a proxy was made with, whichever form it is in now."""
    return type(proxy).__proxy_public__


def class_of(proxy: Any, caller: FrameType) -> Any:
    """Return what `proxy.__class__` shows to a caller: the class of the target, which may have to be resolved."""
    if caller.f_globals.get("__name__") in _SERIALIZERS:
        return public_class(proxy)
    target = read_target(proxy)
    if target is not UNRESOLVED:
        return target.__class__
    default_class = known_class(proxy)
    return target_of(proxy).__class__ if default_class is None else default_class


def known_class(proxy: Any) -> Any:
    """Return the class of a proxy's target if that is known without resolving anything, else None."""
    target = read_target(proxy)
    if target is UNRESOLVED:
        return _read(read_default_class, proxy)
    return None if is_proxy(target) else target.__class__


def known_hash(proxy: Any) -> Any:
    """Return the hash of a proxy's target if it has one that is known without resolving anything, else None."""
    target = read_target(proxy)
    if target is not UNRESOLVED and is_hashed_by_value(target):
        return hash(target)
    return _read(read_default_hash, proxy)


def _read(slot: Callable[[Any], Any], proxy: Any) -> Any:
    try:
        return slot(proxy)
    except AttributeError:
        return None


def is_hashed_by_value(target: Any) -> bool:
    """Tell whether another, equal object has the same hash here; by default the hash is one instance's."""
    kind = type(target)
    if kind is tuple or kind is frozenset:
        return all(map(is_hashed_by_value, target))
    return id(kind) in _HASHED_BY_VALUE and target == target  # noqa: PLR0124  # only a NaN differs from itself


def claim_known_protocols(proxy: Any) -> None:
    """Give an unresolved proxy the protocols of the class that its target is known to have, or all of them."""
    if read_target(proxy) is UNRESOLVED:
        kind = known_class(proxy)
        cls: Any = type(proxy)
        set_class(proxy, cls.__proxy_unresolved__ if kind is None else form_for(cls, kind))


def extract(proxy: Proxy[T]) -> T:
    """Return the target of a proxy; resolve it first if necessary.

    Use it where C code rejects a proxy, as in `json.dumps(data, default=extract)`.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    return cast("T", target_of(_checked(proxy)))


def resolve(proxy: Proxy[Any]) -> None:
    """Resolve a proxy, unless it is resolved already.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    target_of(_checked(proxy))


def resolve_async(proxy: Proxy[Any]) -> None:
    """Start resolving a proxy in the background, and return at once.

    A use of the proxy meanwhile waits for that resolution. If it fails, a use that waits for it raises the error, and
    a later use tries again.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    if not is_resolved(proxy):
        background.start(_resolve_quietly, proxy)


async def aresolve(proxy: Proxy[T]) -> T:
    """Return the target of a proxy without blocking the event loop.

    Raises:
        NotAProxyError: The argument is not a proxy.
        ProxyResolveError: The factory failed.
    """
    if is_resolved(proxy):
        return cast("T", target_of(proxy))
    import asyncio  # takes tens of ms to import; a program that awaits this has it already

    return cast("T", await asyncio.wrap_future(background.submit(target_of, proxy)))


def is_resolved(proxy: Proxy[Any]) -> bool:
    """Tell whether a proxy has its target already; never resolves it.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    return read_target(_checked(proxy)) is not UNRESOLVED


def get_factory(proxy: Proxy[T]) -> Callable[[], T]:
    """Return the factory of a proxy; never resolves it.

    Raises:
        NotAProxyError: The argument is not a proxy.
    """
    return cast("Callable[[], T]", read_factory(_checked(proxy)))


def _resolve_quietly(proxy: Any) -> None:
    try:
        target_of(proxy)
    except Exception:  # noqa: BLE001  # a use of the target raises it again
        return


def _checked(proxy: Any) -> Any:
    if is_proxy(proxy):
        return proxy
    raise NotAProxyError(
        f"expected a proxy, not {type(proxy).__name__!r}",
        remedy="check isinstance(value, Proxy) first if the value may be either",
    )


class ProxyLocker(Generic[T]):
    """A box around a proxy, which only `unlock` returns.

    Any use of a proxy resolves it; a box has no operations that could be used by accident. It can be pickled.

    Args:
        proxy: The proxy; it is not resolved.
    """

    __module__ = "psk.proxy"  # where pickles name it
    __slots__ = ("_proxy",)

    def __init__(self, proxy: Proxy[T]) -> None:
        object.__setattr__(self, "_proxy", proxy)

    def __getattribute__(self, name: str) -> Any:
        if name == "_proxy":
            raise ProxyLockedError("the proxy in this box is locked", remedy="call unlock() to get it")
        return object.__getattribute__(self, name)

    def __repr__(self) -> str:
        return f"ProxyLocker({object.__getattribute__(self, '_proxy')!r})"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (object.__getattribute__(self, "_proxy"),)

    def unlock(self) -> Proxy[T]:
        """Return the proxy, unresolved if it was when it was locked."""
        return cast("Proxy[T]", object.__getattribute__(self, "_proxy"))
