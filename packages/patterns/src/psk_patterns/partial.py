"""How does a consumer fetch only what it touches of a nested structure? Its large leaves travel as proxies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk import Proxy, extract
from psk.errors import InvalidArgumentError, StoreConfigError
from psk_patterns.arguments import check_lifetime, check_store
from psk_patterns.policies import DEFAULT_BYTES, check_policy
from psk_patterns.traversal import is_structure, transform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk import Store
    from psk.store import Lifetime

#: What holds no proxy and nothing that could be one.
PLAIN = frozenset({int, float, complex, bool, str, bytes, bytearray, type(None)})


def scatter(
    obj: Any,
    threshold: int | Callable[[Any], bool] = DEFAULT_BYTES,
    *,
    store: Store,
    lifetime: Lifetime | None = None,
    ttl: float | None = None,
    make: Callable[[Store, Any], Any] | None = None,
) -> Any:
    """Put the large leaves of a nested structure into a store, and give the structure with proxies in their places.

    Structures are lists, tuples, named tuples, dicts, dataclasses and classes of attrs; the original stays as it is.
    A long list, tuple or dict of nothing but numbers and short texts counts as one leaf. What stands in several
    places is put once, and its places share one proxy. Proxies that are there already stay as they are.

    Args:
        obj: The structure, or a single leaf.
        threshold: Leaves of at least so many bytes are put, as `psk_patterns.policies.size_of` estimates them; or a
            policy, such as `ProxyType(numpy.ndarray)`.
        store: Where the leaves go, all in one batch where the channel has such.
        lifetime: Evicts the leaves at its end. Without one, and without `ttl` and `make`, they stay.
        ttl: Seconds after which the channel drops the leaves; None keeps them.
        make: Makes each proxy, from store and leaf, instead of `store.proxy`: `psk_patterns.owned_proxy` lets whoever
            holds the structure own its leaves. It excludes `lifetime` and `ttl`.

    Raises:
        InvalidArgumentError: The structure contains itself, the threshold is neither a number nor a policy, or an
            argument is not a store or a lifetime.
        StoreConfigError: `make` is given together with `lifetime` or `ttl`.
        PskError: As `Store.put`; nothing of the structure is left in the store then, unless in `lifetime`.
    """
    if make is not None and (lifetime is not None or ttl is not None):
        raise StoreConfigError(
            "scatter got make= together with lifetime= or ttl=", remedy="let what `make` returns see to its end"
        )
    check_store(store)
    if lifetime is not None:
        check_lifetime(lifetime)
    policy = check_policy(threshold)

    selection = Selection(lambda value: _is_large(value, policy))
    marked = selection.mark(obj)
    if make is not None:
        made = [make(store, leaf) for leaf in selection.chosen]
    elif lifetime is not None and selection.chosen:
        made = store.proxy_batch(selection.chosen, lifetime=lifetime, ttl=ttl, populate_target=False)
    else:
        made = Placement(ttl).proxies(store, selection.chosen)
    return selection.fill(marked, made)


def gather(obj: Any) -> Any:
    """Resolve every proxy in a nested structure, and give the structure with their targets in their places.

    `gather(scatter(x, store=store))` equals `x`. Nothing is evicted, and owned proxies own on.

    Args:
        obj: A structure as `scatter` gives, or a single proxy, here or in another process.

    Raises:
        InvalidArgumentError: The structure contains itself.
        ProxyResolveError: A proxy could not be resolved.
    """
    return transform(obj, lambda leaf: extract(leaf) if is_proxy(leaf) else leaf)


class Placement:
    """The objects of one batch: a lifetime that only notes their keys.

    Args:
        ttl: Seconds to live that its objects are put with; None is for ever.
    """

    def __init__(self, ttl: float | None = None) -> None:
        self.ttl = ttl
        self.keys: list[str] = []

    def proxies(self, store: Store, objs: Sequence[Any]) -> list[Any]:
        """Put objects and give their proxies; if that fails, none of the objects stays.

        Raises:
            PskError: As `Store.put`.
        """
        if not objs:
            return []
        try:
            return store.proxy_batch(objs, lifetime=self, populate_target=False)
        except BaseException as error:
            self.withdraw(store, error)
            raise

    def withdraw(self, store: Store, error: BaseException) -> None:
        """Evict what was put, because of an error, which the caller shall hear of whatever happens here."""
        try:
            store.evict_batch(self.keys)
        except Exception as failure:  # noqa: BLE001  as said
            error.add_note(f"{len(self.keys)} objects that were put before stay in {store.shown_uri}: {failure}")

    def add_key(self, *keys: str, store: Store) -> None:  # noqa: ARG002  there is one store only
        """Note keys."""
        self.keys.extend(keys)

    def add_proxy(self, *proxies: Any) -> None:
        """Take no proxies: `proxies` makes them."""
        raise NotImplementedError(f"{len(proxies)} proxies")

    def close(self) -> None:
        """Do nothing: who asked for the objects sees to their end."""

    def done(self) -> bool:
        """Tell that it has not ended."""
        return False


class _Place:
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Selection:
    """Those objects of one or several structures that are chosen, each once, until something else takes their places.

    Args:
        is_chosen: Asked about each object that can be proxied, a structure before what is in it.

    Attributes:
        chosen: The objects, in order.
    """

    def __init__(self, is_chosen: Callable[[Any], bool]) -> None:
        self.chosen: list[Any] = []
        self._is_chosen = is_chosen
        self._places: dict[int, _Place] = {}

    def mark(self, obj: Any) -> Any:
        """Rebuild a structure with marks in the places of its chosen objects; without any it is given back as it is.

        Raises:
            InvalidArgumentError: The structure contains itself; nothing of it is chosen then.
        """
        before = len(self.chosen)
        try:
            return transform(obj, self.note, leaves_only=False)
        except InvalidArgumentError:
            for value in self.chosen[before:]:
                del self._places[id(value)]
            del self.chosen[before:]
            raise

    def note(self, value: Any) -> Any:
        """Give the mark of an object if it is chosen, else the object."""
        if value is None or value is True or value is False or is_proxy(value) or not self._is_chosen(value):
            return value
        return self.choose(value)

    def choose(self, value: Any) -> Any:
        """Choose an object, and give its mark."""
        place = self._places.get(id(value))
        if place is None:
            place = self._places[id(value)] = _Place(len(self.chosen))
            self.chosen.append(value)
        return place

    def fill(self, marked: Any, made: Sequence[Any]) -> Any:
        """Rebuild a marked structure with what was made of the chosen objects, in their order."""
        return transform(marked, lambda leaf: made[leaf.number] if type(leaf) is _Place else leaf) if made else marked


def is_proxy(value: Any) -> bool:
    """Tell whether something is a proxy, without asking its target."""
    return issubclass(type(value), Proxy)


def _is_large(value: Any, policy: Callable[[Any], bool]) -> bool:
    if not is_structure(value):
        return policy(value)
    # Whoever wants one of several leaves shall not have to fetch all of them. Numbers are wanted together.
    if type(value) not in {list, tuple, dict} or not policy(value):
        return False
    members = value.values() if type(value) is dict else value
    return PLAIN.issuperset(map(type, members)) and not any(map(policy, members))
