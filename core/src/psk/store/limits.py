"""Which channels may the proxies found in a store's objects open, and how do those proxies come to know?"""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, TypeAlias

from psk.errors import UntrustedChannelError
from psk.plugins.importing import on_demand
from psk.store.patterns import is_trusted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.store.config import StoreConfig
    from psk.wire import Reference


class Limit:
    """Hold what one store lets the proxies in its objects open: what its patterns match, and its own channel.

    Args:
        config: The options of a store that has `trusted`.
    """

    __slots__ = ("_own", "_patterns", "_store")

    def __init__(self, config: StoreConfig) -> None:
        self._store = config.name
        self._own: str = config.connector
        self._patterns: tuple[str, ...] = config.trusted

    def check(self, reference: Reference) -> None:
        """Check a reference that came in an object of the store, or in an object found through such a one.

        Raises:
            UntrustedChannelError: Its channel is not among the trusted ones.
            ConnectorConfigError: It names no channel.
        """
        if not is_trusted(reference.uri, self._patterns, self._own):
            with on_demand:
                from psk.masking import masked_uri  # only failures need it

            raise UntrustedChannelError(
                f"a proxy found in an object of store {self._store!r} names the channel {reference.shown_uri!r}, which"
                " that store does not trust",
                found=map(masked_uri, (self._own, *self._patterns)),
                remedy="refuse the object, or add the channel to the store's trusted=[...]",
            )

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Limit):
            return NotImplemented
        return (self._own, self._patterns) == (other._own, other._patterns)

    def __hash__(self) -> int:
        return hash((self._own, self._patterns))


Limits: TypeAlias = tuple[Limit, ...]
"""What a proxy must keep to: each of them."""

_in_force: ContextVar[Limits] = ContextVar("psk limits", default=())
limits_in_force = _in_force.get
"""Give the limits of whatever is being decoded here; a proxy that is restored meanwhile keeps them."""


@contextmanager
def handing_on(limits: Limits) -> Iterator[None]:
    """Let the proxies that are restored in a `with` block remember limits, beside those that are in force already."""
    # Each once: a chain of proxies through one store must not grow with its length.
    token = _in_force.set(tuple(dict.fromkeys((*_in_force.get(), *limits))))
    try:
        yield
    finally:
        _in_force.reset(token)
