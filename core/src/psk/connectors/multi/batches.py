"""How are many objects moved to and from several channels? One exchange with each channel concerned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors.capabilities import SupportsBatch
from psk.connectors.multi.routes import able, shared_time
from psk.errors import ChannelFullError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.child import Child
    from psk.connectors.multi.routes import Routes
    from psk.wire import Frames, Payload


class Batches:
    """Serve SupportsBatch."""

    __slots__ = ()
    _routes: Routes

    def put_batch(
        self: Any,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> list[Key]:
        """Put each payload into the channel that takes it."""
        left = shared_time(timeout)
        keys: list[Key] = [""] * len(payloads)
        groups: dict[Child, list[int]] = {}
        for place, payload in enumerate(payloads):
            groups.setdefault(self._routes.takers(payload.nbytes, hints)[0], []).append(place)
        for child, places in groups.items():
            connector: SupportsBatch = able(child.connector(), SupportsBatch)
            group = [payloads[place] for place in places]
            try:
                inner = connector.put_batch(group, ttl=ttl, timeout=left(), hints=hints)
                named = [child.named(key, child.connector()) for key in inner]
            except ChannelFullError:
                # Those that found room are put again, which is one put; the others go to the next channel.
                named = [self.put(payload, ttl=ttl, timeout=left(), hints=hints) for payload in group]
            for place, key in zip(places, named, strict=True):
                keys[place] = key
        return keys

    def get_batch(
        self,
        keys: Sequence[Key],
        *,
        sizes: Sequence[int | None] | None = None,  # noqa: ARG002  passed on when channels use it
        timeout: float | None = None,
    ) -> list[Frames | None]:
        """Get each key from its channel."""
        return self._ask(
            keys,
            timeout,
            lambda connector, inner, left: connector.get_batch(inner, timeout=left),
            lambda connector, inner, left: connector.get(inner, timeout=left),
        )

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether its channel holds an object."""
        answers = self._ask(
            keys,
            timeout,
            lambda connector, inner, left: connector.exists_batch(inner, timeout=left),
            lambda connector, inner, left: connector.exists(inner, timeout=left) or None,
        )
        return [bool(answer) for answer in answers]

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key from its channel."""
        self._ask(
            keys,
            timeout,
            lambda connector, inner, left: connector.evict_batch(inner, timeout=left) or [None] * len(inner),
            lambda connector, inner, left: connector.evict(inner, timeout=left),
        )

    def _ask(
        self,
        keys: Sequence[Key],
        timeout: float | None,
        together: Callable[[Any, list[Key], float | None], list[Any]],
        alone: Callable[[Connector, Key, float | None], Any],
    ) -> list[Any]:
        left = shared_time(timeout)
        answers: list[Any] = [None] * len(keys)
        groups: dict[Child, list[tuple[int, Key]]] = {}
        for place, key in enumerate(keys):
            located = self._routes.locate(key)
            if len(located) == 1:
                groups.setdefault(located[0][0], []).append((place, located[0][1]))
            else:
                answers[place] = self._routes.first(key, left(), alone)
        for child, asked in groups.items():
            connector = able(child.connector(), SupportsBatch)
            found = together(connector, [inner for _, inner in asked], left())
            for (place, _), answer in zip(asked, found, strict=True):
                answers[place] = answer
        return answers
