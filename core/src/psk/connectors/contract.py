"""Define the contract that every connector keeps, and one small protocol for each capability that only some have.

docs/contract.md numbers each duty. `isinstance(connector, SupportsTake)` says that the connector has the methods. If
the place it was opened on cannot do it (a lock on a network file system, say), the method raises `CapabilityError`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from types import TracebackType

    from typing_extensions import TypeVar  # typing's own accepts `default` from Python 3.13 on

    from psk.connectors.arguments import Key
    from psk.wire import Frames, Payload

    KeyT_co = TypeVar("KeyT_co", covariant=True, default=Key)
else:
    from typing import TypeVar

    KeyT_co = TypeVar("KeyT_co", covariant=True)


@runtime_checkable
class Connector(Protocol[KeyT_co]):
    """Move payloads to and from one channel.

    Every method is thread-safe, ends within its deadline in a value or an error from `psk.errors`, and
    accepts `timeout` in seconds (None: the connector's own finite default). A key is always a `str`, so the type
    parameter, as in `Connector[Any]`, carries no information.

    Two attributes are optional:

    - `in_memory`: True if `get` returns memory of this host without a transfer; then a store caches no payloads.
    - `look_interval`: seconds between two looks of a process that waits, for a channel on which each look is
      expensive and that cannot notify (C61).
    """

    scheme: ClassVar[str]
    """The scheme of the URIs that open this connector."""

    @property
    def leaves_host(self) -> bool:
        """Whether bytes leave this host's memory, so that payloads carry a checksum unless the user omits it."""

    @property
    def durabilities(self) -> tuple[str, ...]:
        """Which of `DURABILITIES` an acknowledged `put` can have here, weakest first."""

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Store a payload whole, or not at all, and return its key.

        Args:
            payload: What to store. Its buffers are not used after the call has ended, however it ended.
            ttl: Seconds until it expires, counted by the channel; None keeps it until it is evicted.
            timeout: Seconds this call may take.
            hints: Wishes of the caller by name. A connector uses those it knows and ignores the others.

        Returns:
            The key, which begins with the payload's object id. Putting the same payload twice is one put.

        Raises:
            KeyExistsError: The channel holds a different payload with this object id.
            CapabilityError: `ttl` was given and the channel cannot keep it.
            ChannelFullError: There is no room; nothing was stored.
            ChannelUnavailableError: The channel cannot be reached or refuses.
            DeadlineError: The time was up; the object may or may not be visible.
        """

    def get(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Fetch the whole payload of a key.

        Args:
            key: What `put` returned.
            size: Bytes that the payload has according to the reference: a hint, never trusted.
            timeout: Seconds this call may take.

        Returns:
            The bytes, not interpreted; None if the channel holds no object of this key.

        Raises:
            InvalidKeyError: The key is malformed.
            PayloadError: The object became shorter while it was read.
            ChannelDataError: What has the object's name in the channel is not an object of psk.
        """

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the channel holds a completed, unexpired object of this key."""

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object; a missing one is not an error."""

    def close(self, timeout: float | None = None) -> None:
        """Release what this instance opened, and delete nothing. Closing twice is not an error.

        Args:
            timeout: Seconds to wait for deliveries that `put` accepted and that are not complete (C63). A channel
                that completes every `put` before it returns does not wait.

        Raises:
            DeadlineError: Accepted deliveries are not complete; the instance is closed all the same.
        """

    def __enter__(self) -> Self:
        """Return this instance; `ContextManaged` has this method and the next."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Close at the end of the block; an error of the block passes."""

    def uri(self) -> str:
        """Return the URI that opens this channel from elsewhere, also if it was opened by a URI that names no place.

        `Rebuilding` has this method, and pickles a connector as its configuration.
        """

    def config(self) -> dict[str, object]:
        """Describe how to rebuild this connector elsewhere, in plain values and without secrets."""

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Rebuild a connector from `config()`, or from a parsed URI, where every value is text.

        Raises:
            ConnectorConfigError: An option is unknown or its value is not valid; the known options are listed.
        """


@runtime_checkable
class SupportsReserve(Protocol[KeyT_co]):
    """Name an object before it exists."""

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Return the key that the object with this 16-byte id will have."""

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the payload under its reserved key; its object id must begin the key (InvalidKeyError)."""


@runtime_checkable
class SupportsWait(Protocol):
    """Block until an object arrives, woken by the channel wherever it can."""

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those of `keys` that exist, at least one, in their order; DeadlineError when time is up."""


@runtime_checkable
class SupportsBatch(Protocol):
    """Do many operations in one exchange; answers come in the order of the arguments."""

    def put_batch(
        self,
        payloads: Sequence[Payload],
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> list[Key]:
        """Put each payload, as `put` does; atomic per object, not for the batch."""

    def get_batch(
        self, keys: Sequence[Key], *, sizes: Sequence[int | None] | None = None, timeout: float | None = None
    ) -> list[Frames | None]:
        """Get each key, as `get` does.

        Args:
            keys: The objects.
            sizes: For each key the bytes that its payload has, or None: hints as in `get`.
            timeout: Seconds for all of them together.
        """

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether the channel holds its object."""

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""


@runtime_checkable
class SupportsExpiry(Protocol):
    """Let the channel expire objects, also after the process that put them has ended."""

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now (None: never); False if it is already gone."""


@runtime_checkable
class SupportsTake(Protocol):
    """Give one object to exactly one of many claimants."""

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object and fetch it.

        The first claim wins. The same claim asking again gets the same object, and its lease restarts; any
        other claim gets None, as for a missing object. `evict` ends the claim.

        Args:
            key: The object.
            claim: The claimant: 1 to 128 printable ASCII characters, the same for each of its attempts.
            lease: Seconds after which an object that was not evicted can be claimed by others; None: never.
            size: Bytes that the payload has, a hint as in `get`.
            timeout: Seconds this call may take.

        Raises:
            CapabilityError: This place cannot decide between claimants.
        """


@runtime_checkable
class SupportsSwap(Protocol):
    """Replace an object by its next version, unless another writer did so first."""

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put `payload` in place of the current version.

        Its revision must be the current one plus 1 and its object id must begin the key. The current payload
        again is one swap. `ttl` None leaves the expiry as it is.

        Raises:
            RevisionConflictError: The current version has another revision, which is named.
            MissingKeyError: The channel holds no object of this key.
        """


@runtime_checkable
class SupportsRange(Protocol):
    """Read a part of a payload."""

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Return up to `length` bytes of the payload from `offset` on: fewer at its end, None without an object."""


@runtime_checkable
class SupportsList(Protocol):
    """List and clear what the channel holds."""

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of completed, unexpired objects; concurrent changes may be seen or not."""

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk wrote here, and nothing else; return their number."""


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

    async def aget(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Do what `get` does."""

    async def aexists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Do what `exists` does."""

    async def aevict(self, key: Key, *, timeout: float | None = None) -> None:
        """Do what `evict` does."""


class Allocation(Protocol):
    """Memory of the channel that is being filled, and is not an object yet.

    Used in a `with` block, it is aborted at the end of the block unless it was committed.
    """

    @property
    def buffer(self) -> memoryview:
        """The memory: writable, of the size that was asked for, valid until `commit` or `abort`."""

    def commit(self, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Make the payload in the buffer an object, by the rules of `put`, and return its key.

        The object id is that of the payload's header.

        Raises:
            PayloadError: The buffer does not hold one whole payload of its size; the allocation is aborted.
            InvalidArgumentError: The caller still holds views of the buffer, and the channel cannot copy it.
        """

    def abort(self) -> None:
        """Give the memory back; after `commit` or `abort` this does nothing."""

    def __enter__(self) -> Self:
        """Return this allocation."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None, /
    ) -> None:
        """Abort what was not committed."""


@runtime_checkable
class SupportsAllocate(Protocol):
    """Receive a payload straight into the channel's own memory."""

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> Allocation:
        """Return writable memory for one payload of `nbytes` bytes; ChannelFullError without room."""


class Watcher(Protocol):
    """Registered waits of one thread: callbacks by key, served by one event loop.

    One thread uses a watcher at a time; `close` may be called by any.
    """

    def add(self, key: Key, callback: Callable[[Key], object]) -> None:
        """Have `callback(key)` called once, by a later `dispatch`, when the object exists.

        An object that exists already counts. A key that was added before gets the new callback.
        """

    def discard(self, key: Key) -> None:
        """Forget a key; an unknown one is not an error."""

    def fileno(self) -> int | None:
        """Return a descriptor that is readable when `dispatch` has something to do; None if the system has none."""

    def dispatch(self) -> float | None:
        """Call the callbacks of the objects that exist now, in the calling thread, without waiting.

        Returns:
            The seconds after which to call it again; None if only when the descriptor is readable.

        Raises:
            ConnectorClosedError: The connector or the watcher is closed.
        """

    def close(self) -> None:
        """Forget every key and release the descriptor; closing twice is not an error."""


@runtime_checkable
class SupportsWatch(Protocol):
    """Register waits, so that one loop can serve thousands of them."""

    def watcher(self) -> Watcher:
        """Return a new watcher of this channel, without keys."""


CAPABILITIES: Final = (
    SupportsReserve,
    SupportsWait,
    SupportsBatch,
    SupportsExpiry,
    SupportsTake,
    SupportsSwap,
    SupportsRange,
    SupportsList,
    SupportsAsync,
    SupportsAllocate,
    SupportsWatch,
)
"""Every capability, in the order of the table in docs/contract.md."""

METHODS: Final[dict[type, tuple[str, ...]]] = {
    capability: tuple(name for name in vars(capability) if not name.startswith("_")) for capability in CAPABILITIES
}
"""The names of the methods of each capability."""


def capabilities_of(connector: object) -> frozenset[type]:
    """Return the capabilities that a connector, or a class of connectors, has.

    The answer is that of `isinstance(connector, capability)` for each capability, and takes a few microseconds.
    """
    return frozenset(
        capability
        for capability, methods in METHODS.items()
        if all(callable(getattr(connector, name, None)) for name in methods)
    )
