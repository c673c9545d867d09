"""What do the channels of a multi connector hold together?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors.capabilities import SupportsList
from psk.connectors.multi.routes import able, shared_time

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psk.connectors.arguments import Key
    from psk.connectors.multi.child import Child
    from psk.connectors.multi.routes import Routes


class Listing:
    """Serve SupportsList."""

    __slots__ = ()
    _routes: Routes

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of all channels; one that cannot be opened here is an error, not left out."""
        left = shared_time(timeout)
        listed = [(child, connector.keys(timeout=left())) for child, connector in self._all()]
        return (child.outer_key(key) for child, keys in listed for key in keys)

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of all channels; nothing if one of them cannot be opened here."""
        left = shared_time(timeout)
        return sum(connector.clear(timeout=left()) for _, connector in self._all())

    def _all(self) -> list[tuple[Child, SupportsList]]:
        return [(child, able(child.connector(), SupportsList)) for child in self._routes.children]
