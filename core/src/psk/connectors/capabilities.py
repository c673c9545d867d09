"""What can some channels do beyond the contract? One small protocol for each optional power.

`isinstance(connector, SupportsTake)` says that the connector knows how; where the place it was opened on
cannot (a lock on a network file system, say) the method raises `CapabilityError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from psk.connectors.contract import KeyT_co

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors.key import Key
    from psk.wire import Frames, Payload


@runtime_checkable
class SupportsReserve(Protocol[KeyT_co]):
    """Name an object before it exists."""

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Return the key under which the object with this 16-byte id will stand."""
        ...

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the payload under its reserved key; its object id must begin the key (InvalidKeyError)."""
        ...


@runtime_checkable
class SupportsWait(Protocol):
    """Block until an object arrives, woken by the channel wherever it can."""

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those of `keys` that exist, at least one, in their order; DeadlineError when time is up."""
        ...


@runtime_checkable
class SupportsBatch(Protocol):
    """Do many operations in one exchange; each answer stands at the place of its question."""

    def put_batch(
        self,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> list[Key]:
        """Put each payload, as `put` does; atomic per object, not for the batch."""
        ...

    def get_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Frames | None]:
        """Get each key, as `get` does."""
        ...

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether an object stands there."""
        ...

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""
        ...


@runtime_checkable
class SupportsExpiry(Protocol):
    """Keep `ttl` in the channel, whatever becomes of the process that put the object."""

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now (None: never); False if it is already gone."""
        ...


@runtime_checkable
class SupportsTake(Protocol):
    """Give one object to exactly one of many claimants."""

    def take(self, key: Key, claim: str, *, lease: float | None = None, timeout: float | None = None) -> Frames | None:
        """Claim the object and fetch it.

        The first claim wins; the same claim asking again gets the same object, its lease starting anew; any
        other gets None, as for a missing object. `evict` ends it.

        Args:
            key: The object.
            claim: Who asks: 1 to 128 printable ASCII characters, the same for every attempt of one claimant.
            lease: Seconds after which an object that was not evicted may be claimed by others; None: never.
            timeout: Seconds this call may take.

        Raises:
            CapabilityError: The place cannot decide between claimants.
        """
        ...


@runtime_checkable
class SupportsSwap(Protocol):
    """Replace an object by its next version, if nobody else did so first."""

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put `payload` in place of the current version.

        Its revision must be the current one plus 1 and its object id must begin the key. The current payload
        again is one swap. `ttl` None leaves the expiry as it is.

        Raises:
            RevisionConflictError: The current version is another; its revision is named.
            MissingKeyError: No object stands under the key.
        """
        ...


@runtime_checkable
class SupportsRange(Protocol):
    """Read a part of a payload."""

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Return up to `length` bytes of the payload from `offset` on: fewer at its end, None if missing."""
        ...


@runtime_checkable
class SupportsList(Protocol):
    """Tell what is there, and delete it on purpose."""

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of completed, unexpired objects; concurrent changes may be seen or not."""
        ...

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk wrote here, and nothing else; return how many that were."""
        ...


@runtime_checkable
class SupportsAsync(Protocol):
    """Serve an event loop without a thread per call."""

    async def aput(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Do what `put` does."""
        ...

    async def aget(
        self,
        key: Key,
        *,
        size: int | None = None,
        timeout: float | None = None,
    ) -> Frames | None:
        """Do what `get` does."""
        ...

    async def aexists(
        self,
        key: Key,
        *,
        timeout: float | None = None,
    ) -> bool:
        """Do what `exists` does."""
        ...

    async def aevict(
        self,
        key: Key,
        *,
        timeout: float | None = None,
    ) -> None:
        """Do what `evict` does."""
        ...


CAPABILITIES = (
    SupportsReserve,
    SupportsWait,
    SupportsBatch,
    SupportsExpiry,
    SupportsTake,
    SupportsSwap,
    SupportsRange,
    SupportsList,
    SupportsAsync,
)
"""Every capability there is, in the order of the map in docs/contract.md."""
