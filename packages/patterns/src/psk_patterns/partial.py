"""Replace the large leaves of a nested structure by proxies, so that a consumer fetches only what it uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk import extract
from psk.errors import InvalidArgumentError, StoreConfigError
from psk.proxy import is_proxy
from psk_patterns.arguments import check_lifetime, check_store
from psk_patterns.policies import DEFAULT_BYTES, check_policy
from psk_patterns.traversal import PLAIN, is_structure, transform

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk import Store
    from psk.store import Lifetime


def scatter(
    obj: Any,
    threshold: int | Callable[[Any], bool] = DEFAULT_BYTES,
    *,
    store: Store,
    lifetime: Lifetime | None = None,
    ttl: float | None = None,
    make: Callable[[Store, Any], Any] | None = None,
) -> Any:
    """Put the large leaves of a nested structure into a store, and return the structure with proxies in their places.

    Structures are lists, tuples, named tuples, dicts, dataclasses and attrs classes; the original is not modified.
    A long list, tuple or dict of only numbers and short strings counts as one leaf. An object that occurs several times
    is put once, and its places share one proxy. Existing proxies are kept.

    Args:
        obj: The structure, or a single leaf.
        threshold: The least size in bytes, as `psk_patterns.policies.size_of` estimates it, of leaves that are put; or
            a policy, such as `ProxyType(numpy.ndarray)`.
        store: Where the leaves go, in one batch if the channel supports that.
        lifetime: Evicts the leaves at its end. Without it, `ttl` and `make`, they stay.
        ttl: Seconds after which the channel drops the leaves; None keeps them.
        make: Makes each proxy, from store and leaf, instead of `store.proxy`: with `psk_patterns.owned_proxy`, the
            structure owns its leaves. It excludes `lifetime` and `ttl`.

    Raises:
        InvalidArgumentError: The structure contains itself, the threshold is neither a number nor a policy, or an
            argument is not a store or a lifetime.
        StoreConfigError: `make` is given together with `lifetime` or `ttl`.
        PskError: As `Store.put`; no leaf stays in the store then, except those attached to `lifetime`.
    """
    if make is not None and (lifetime is not None or ttl is not None):
        raise StoreConfigError(
            "scatter got make= together with lifetime= or ttl=",
            remedy="omit lifetime= and ttl=",
        )
    check_store(store)
    if lifetime is not None:
        check_lifetime(lifetime)
    policy = check_policy(threshold)

    selection = Selection(lambda value: _is_large(value, policy))
    marked = selection.mark(obj)
    made: list[Any] = []
    if make is not None:
        made = [make(store, leaf) for leaf in selection.selected]
    elif selection.selected:
        made = store.proxy_batch(selection.selected, lifetime=lifetime, ttl=ttl, populate_target=False)
    return selection.fill(marked, made)


def gather(obj: Any) -> Any:
    """Resolve every proxy in a nested structure, and return the structure with their targets in their places.

    `gather(scatter(x, store=store))` equals `x`. Nothing is evicted, and owned proxies stay owners.

    Args:
        obj: A structure that `scatter` returned, here or in another process, or a single proxy.

    Raises:
        InvalidArgumentError: The structure contains itself.
        ProxyResolveError: A proxy could not be resolved.
    """
    return transform(obj, lambda leaf: extract(leaf) if is_proxy(leaf) else leaf)


class _Mark:
    __slots__ = ("number",)

    def __init__(self, number: int) -> None:
        self.number = number


class Selection:
    """The objects of one or several structures that are selected to be replaced, each once.

    Args:
        is_selected: Asked about each object that can be proxied, a structure before its parts.

    Attributes:
        selected: The objects, in order.
    """

    def __init__(self, is_selected: Callable[[Any], bool]) -> None:
        self.selected: list[Any] = []
        self._is_selected = is_selected
        self._marks: dict[int, _Mark] = {}

    def mark(self, obj: Any) -> Any:
        """Rebuild a structure with marks in the places of its selected objects; without any, return the original.

        Raises:
            InvalidArgumentError: The structure contains itself; nothing of it is selected then.
        """
        before = len(self.selected)
        try:
            return transform(obj, self.note, leaves_only=False)
        except InvalidArgumentError:
            for value in self.selected[before:]:
                del self._marks[id(value)]
            del self.selected[before:]
            raise

    def note(self, value: Any) -> Any:
        """Return the mark of an object if it is selected, else the object."""
        if value is None or value is True or value is False or is_proxy(value) or not self._is_selected(value):
            return value
        return self.select(value)

    def select(self, value: Any) -> Any:
        """Select an object, and return its mark."""
        mark = self._marks.get(id(value))
        if mark is None:
            mark = self._marks[id(value)] = _Mark(len(self.selected))
            self.selected.append(value)
        return mark

    def fill(self, marked: Any, made: Sequence[Any]) -> Any:
        """Rebuild a marked structure with the replacements of the selected objects, in their order."""
        return transform(marked, lambda leaf: made[leaf.number] if type(leaf) is _Mark else leaf) if made else marked


def _is_large(value: Any, policy: Callable[[Any], bool]) -> bool:
    if not is_structure(value):
        return policy(value)
    # One of several large leaves can be fetched without the others. Numbers are used together.
    if type(value) not in {list, tuple, dict} or not policy(value):
        return False
    members = value.values() if type(value) is dict else value
    return PLAIN.issuperset(map(type, members)) and not any(map(policy, members))
