"""Move payloads through a connector, with a correct default for each capability that it lacks."""

from __future__ import annotations

import time
from contextlib import nullcontext, suppress
from typing import TYPE_CHECKING, Any

from psk.background import stepping_aside
from psk.connectors import deadline_after, poll
from psk.errors import CapabilityError, DeadlineError, PskError
from psk.plugins.importing import on_demand
from psk.wire import HEADER_REACH, Header, Payload, block_size

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import AbstractContextManager

    from psk.connectors import Connector
    from psk.store.events import Events
    from psk.wire import Frames

#: Seconds that a wait may take by default.
WAIT_SECONDS = 60.0
#: Seconds that one look of a wait may take, however close the deadline is.
SHORTEST_LOOK = 0.5

_LISTED = "keep the keys, and evict them one by one"
_RESERVED = ("SupportsReserve", "name an object before it is put", "put the object first and send its key then")
#: What each operation without a default needs, in words for the error: the capability, the wish, and another way.
WITHOUT_DEFAULT = {
    "reserve": _RESERVED,
    "fulfil": _RESERVED,
    "renew": ("SupportsExpiry", "renew an object", "keep the object until it is evicted"),
    "take": ("SupportsTake", "take an object", "let one process read and evict the object"),
    "swap": ("SupportsSwap", "swap an object", "put the new version under a key of its own"),
    "keys": ("SupportsList", "list its objects", _LISTED),
    "clear": ("SupportsList", "clear itself", _LISTED),
}


class ObjectStat:
    """Describe a stored object, from its payload's header.

    Attributes:
        key: The object's key.
        nbytes: Size of the whole payload in bytes.
        codec: Name of the codec that encoded it.
        frames: Sizes of its frames in bytes.
        revision: 0 for the object as first put; one more for each update.
        checksum: CRC-32 of the payload, or None.
        expires: Whether it was put with a time to live.
        signed_by: Name of the key that signed it, or "".
    """

    __slots__ = ("checksum", "codec", "expires", "frames", "key", "nbytes", "revision", "signed_by")

    def __init__(self, key: str, header: Header | Payload) -> None:
        self.key = key
        self.nbytes = header.nbytes
        self.codec = header.codec
        self.frames = header.frame_sizes
        self.revision = header.revision
        self.checksum = header.checksum
        self.expires = header.expires
        self.signed_by = header.signed_by

    def __repr__(self) -> str:
        return f"ObjectStat({', '.join(f'{name}={getattr(self, name)!r}' for name in ('key', 'nbytes', 'codec'))})"


#: A null context, used for transfers when nobody subscribes to events.
_UNHEARD: AbstractContextManager[Callable[[str, int], None]] = nullcontext(lambda _key, _nbytes: None)


class Channel:
    """A connector, the capabilities it has, and what stands in for those that it lacks.

    If somebody subscribes to events, each transfer of payloads is reported as `connector.put` or `connector.get`. The
    connector checks the keys.

    Args:
        connector: What moves the bytes.
        store: The store's name, for error messages.
        events: Where the store reports what it does; None if nobody subscribes.
    """

    def __init__(self, connector: Connector, store: str, events: Events | None = None) -> None:
        # Any: which capabilities it has shows at run time.
        self.connector: Any = connector
        self.events = events
        #: What to call for a single object: the connector itself, unless somebody hears of it.
        self.shortest: Any = connector if events is None else self
        #: Whether `get` costs nothing, so that there is nothing to save by caching payloads or sharing fetches.
        self.in_memory: bool = getattr(connector, "in_memory", False)
        self._store = store
        self._capabilities: frozenset[str] | None = None

    @property
    def capabilities(self) -> frozenset[str]:
        """The names of the protocols in `psk.connectors` that the connector implements; looked up once."""
        found = self._capabilities
        if found is None:
            with on_demand:
                from psk.connectors import capabilities_of  # the protocols take as long to import as a small package

            found = self._capabilities = frozenset(kind.__name__ for kind in capabilities_of(self.connector))
        return found

    def put(self, payload: Payload, **options: Any) -> str:
        """Store a payload and return its key; options as of the connector's method."""
        with self._transfer("connector.put") as moved:
            key: str = self.connector.put(payload, **options)
            moved(key, payload.nbytes)
        return key

    def get(self, key: str, **options: Any) -> Frames | None:
        """Fetch a payload; None if there is none."""
        return self._fetched(key, self.connector.get, key, **options)

    def evict(self, key: str, *, timeout: float | None = None) -> None:
        """Delete an object; a missing one is not an error."""
        self.connector.evict(key, timeout=timeout)
        self._about(key)

    def put_batch(self, payloads: Sequence[Payload], **options: Any) -> list[str]:
        """Store payloads, together if the connector can; options as of `put`."""
        keys: list[str] = []
        if "SupportsBatch" not in self.capabilities:
            try:
                keys.extend(self.shortest.put(payload, **options) for payload in payloads)
            except BaseException:
                with suppress(PskError):  # nobody else has these keys
                    self.evict_batch(keys)
                raise
            return keys
        with self._transfer("connector.put") as moved:
            keys = self.connector.put_batch(payloads, **options)
            for key, payload in zip(keys, payloads, strict=True):
                moved(key, payload.nbytes)
        return keys

    def get_batch(self, keys: Sequence[str], *, timeout: float | None = None) -> list[Frames | None]:
        """Fetch payloads, together if the connector can; None for each missing one."""
        if "SupportsBatch" not in self.capabilities:
            return [self.shortest.get(key, timeout=timeout) for key in keys]
        with self._transfer("connector.get") as moved:
            fetched: list[Frames | None] = self.connector.get_batch(keys, timeout=timeout)
            for key, frames in zip(keys, fetched, strict=True):
                if frames is not None:
                    moved(key, frames.nbytes)
        return fetched

    def evict_batch(self, keys: Sequence[str], *, timeout: float | None = None) -> None:
        """Delete objects, together if the connector can."""
        if "SupportsBatch" not in self.capabilities:
            for key in keys:
                self.evict(key, timeout=timeout)
            return
        self.connector.evict_batch(keys, timeout=timeout)
        self._about(*keys)

    def wait(self, keys: Sequence[str], *, timeout: float | None = None) -> list[str]:
        """Block until at least one key has an object, woken by the channel if it can, else by looking repeatedly.

        Args:
            keys: Validated keys.
            timeout: Seconds; None is 60.

        Returns:
            The keys that have an object.

        Raises:
            DeadlineError: None had one in time.
        """
        seconds = WAIT_SECONDS if timeout is None else timeout
        with stepping_aside():
            if "SupportsWait" in self.capabilities:
                present: list[str] = self.connector.wait(keys, timeout=seconds)
                return present
            deadline = deadline_after(seconds, WAIT_SECONDS)

            def look() -> list[str]:
                left = max(deadline - time.monotonic(), SHORTEST_LOOK)
                return [key for key in keys if self.connector.exists(key, timeout=left)]

            if present := poll(look, deadline, interval=getattr(self.connector, "look_interval", None)):
                return present
            raise DeadlineError(
                f"none of {len(keys)} keys had an object within {seconds:g} s (first: {keys[0] if keys else None})",
                remedy="check that the producer runs and uses the same channel, or wait longer",
            )

    def stat(self, key: str, *, timeout: float | None = None) -> ObjectStat | None:
        """Describe an object by its header alone where the connector reads ranges, else by fetching it."""
        if "SupportsRange" not in self.capabilities:
            frames = self.get(key, timeout=timeout)
            return None if frames is None else ObjectStat(key, Payload.parse(frames))
        start = self.connector.get_range(key, 0, HEADER_REACH, timeout=timeout)
        if start is None:
            return None
        if len(start) == HEADER_REACH and (size := block_size(start)) > HEADER_REACH:  # of very many frames, or chunks
            start = self.connector.get_range(key, 0, size, timeout=timeout)
        return None if start is None else ObjectStat(key, Header.read(start))

    def supported(self, operation: str) -> Any:
        """Return the connector's method for an operation that has no default.

        Raises:
            CapabilityError: The connector does not have it.
        """
        capability, wish, remedy = WITHOUT_DEFAULT[operation]
        if capability not in self.capabilities:
            raise CapabilityError(
                f"store {self._store!r} cannot {wish}: channel {self.connector.scheme!r} has no {capability}",
                remedy=remedy,
            )
        return getattr(self.connector, operation)

    def send(self, operation: str, key: str, payload: Payload, **options: Any) -> None:
        """Store a payload under a key that exists already: `fulfil` or `swap`, which have no default."""
        method = self.supported(operation)
        with self._transfer("connector.put") as moved:
            method(key, payload, **options)
            moved(key, payload.nbytes)

    def take(self, key: str, claim: str, **options: Any) -> Frames | None:
        """Claim an object and fetch it; this has no default."""
        return self._fetched(key, self.supported("take"), key, claim, **options)

    async def aput(self, payload: Payload, **options: Any) -> str:
        """Store a payload from a coroutine; only with SupportsAsync."""
        with self._transfer("connector.put") as moved:
            key: str = await self.connector.aput(payload, **options)
            moved(key, payload.nbytes)
        return key

    async def aget(self, key: str, *, timeout: float | None = None) -> Frames | None:
        """Fetch a payload from a coroutine; only with SupportsAsync."""
        with self._transfer("connector.get") as moved:
            frames: Frames | None = await self.connector.aget(key, timeout=timeout)
            if frames is not None:
                moved(key, frames.nbytes)
        return frames

    def _transfer(self, name: str) -> AbstractContextManager[Callable[[str, int], None]]:
        return _UNHEARD if self.events is None else self.events.transfer(name)

    def _fetched(self, key: str, fetch: Callable[..., Frames | None], *arguments: Any, **options: Any) -> Frames | None:
        with self._transfer("connector.get") as moved:
            frames = fetch(*arguments, **options)
            if frames is not None:
                moved(key, frames.nbytes)
        return frames

    def _about(self, *keys: str) -> None:
        if self.events is not None:
            self.events.about(*keys)
