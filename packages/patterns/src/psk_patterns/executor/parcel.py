"""How does a result get from a task to its future? Its chosen objects by the store, the rest as it would have."""

from __future__ import annotations

import pickle
import sys
from typing import TYPE_CHECKING, Any

from psk import extract, get_factory
from psk.errors import MissingKeyError
from psk.store import StoreFactory
from psk_patterns.errors import LeaseLostError
from psk_patterns.executor.search import Search
from psk_patterns.ownership import accept, into_owned, is_owned
from psk_patterns.partial import Placement, is_proxy
from psk_patterns.traversal import transform

if TYPE_CHECKING:
    from psk_patterns.executor.settings import Settings


class Parcel:
    """A result in which something has to be done where it arrives.

    Args:
        content: The result, or its pickle if it has to travel.
        keys: The objects that were put for it.
        pickled: Whether `content` is a pickle.
    """

    __slots__ = ("content", "keys", "pickled")

    def __init__(self, content: Any, keys: frozenset[str], *, pickled: bool) -> None:
        self.content = content
        self.keys = keys
        self.pickled = pickled

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_parcel, (self.content, self.keys, self.pickled)


def restore_parcel(content: Any, keys: frozenset[str], pickled: bool) -> Parcel:
    """Rebuild a parcel that travelled."""
    return Parcel(content, keys, pickled=pickled)


def pack(result: Any, settings: Settings, lent: frozenset[str]) -> Any:
    """Put the chosen objects of a result into the store, and give the result as it is to be sent.

    If that fails, nothing stays in the store.

    Args:
        result: What the user's function returned; a proxy of one of its arguments is replaced by its target, for the
            argument will not last.
        settings: The executor's.
        lent: The keys of those arguments.

    Raises:
        PskError: As `Store.put`.
        Exception: Whatever pickling the result raises, where that is needed.
    """
    owned: list[Any] = []

    def look_at(value: Any) -> Any:
        if is_owned(value):
            owned.append(value)
        return extract(value) if lent and key_of(value) in lent else value

    search = Search(settings.policy, look_at)
    marked = search.mark_whole_or_parts(result)
    if not search.chosen and not (owned and settings.travelled):
        return marked
    placement = Placement(settings.ttl)
    made = placement.proxies(settings.store(), search.chosen) if search.chosen else []
    content = search.fill(marked, made)
    keys = frozenset(placement.keys)
    if not settings.travelled:
        return Parcel(content, keys, pickled=False)
    try:
        # Here and not in the engine: whatever cannot be sent would stay in the store.
        return Parcel(_dumps(content), keys, pickled=True)
    except BaseException as error:
        placement.withdraw(settings.store(), error)
        raise


def unpack(parcel: Parcel, settings: Settings, *, ownership: bool) -> Any:
    """Give the result that arrived, and see to it that what was put for it lives on.

    Args:
        parcel: What the task sent.
        settings: The executor's.
        ownership: Whether this process owns the objects from now on; else they stay until they are evicted.

    Raises:
        LeaseLostError: The result took so long to arrive that its objects have expired.
        PskError: The channel failed.
        Exception: Whatever unpickling the result raises.
    """

    def receive(leaf: Any) -> Any:
        if is_owned(leaf):
            accept(leaf)
        elif key_of(leaf) in parcel.keys:
            return _adopted(leaf, settings.ttl) if ownership else _kept(leaf, settings.ttl)
        return leaf

    content = pickle.loads(parcel.content) if parcel.pickled else parcel.content  # noqa: S301  as any result arrives
    return transform(content, receive)


def key_of(value: Any) -> str | None:
    """Give the key of a store's proxy, or None for anything else; nothing is resolved."""
    factory = get_factory(value) if is_proxy(value) else None
    return factory.reference.key if isinstance(factory, StoreFactory) else None


def _adopted(proxy: Any, ttl: float | None) -> Any:
    try:
        return into_owned(proxy) if ttl is None else into_owned(proxy, ttl=ttl)
    except MissingKeyError as error:
        raise _lost(proxy, ttl) from error


def _kept(proxy: Any, ttl: float | None) -> Any:
    factory: Any = get_factory(proxy)
    store = factory.store()
    if ttl is not None and not store.renew(factory.reference.key, None):
        raise _lost(proxy, ttl)
    return proxy


def _lost(proxy: Any, ttl: float | None) -> LeaseLostError:
    within = "in time" if ttl is None else f"within {ttl:g} s"
    return LeaseLostError(
        f"{get_factory(proxy)!r} of a task's result is gone: it did not arrive {within}, or somebody evicted it",
        remedy="give the StoreExecutor a larger ttl",
    )


def _dumps(content: Any) -> bytes:
    try:
        return pickle.dumps(content, protocol=5)
    except Exception:
        better = sys.modules.get("cloudpickle")  # an engine that uses it has imported it
        if better is None:
            raise
        return bytes(better.dumps(content, protocol=5))
