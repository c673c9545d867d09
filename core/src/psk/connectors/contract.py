"""Define the contract that every connector keeps; docs/contract.md numbers each duty."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import TypeVar  # typing's own accepts `default` from Python 3.13 on

    from psk.connectors.arguments import Key
    from psk.wire import Frames, Payload

    KeyT_co = TypeVar("KeyT_co", covariant=True, default=Key)
else:
    from typing import TypeVar

    KeyT_co = TypeVar("KeyT_co", covariant=True)

DURABILITIES: Final = ("volatile", "host", "disk", "replicated")
"""The levels that a channel can promise, weakest first (docs/contract.md, C30)."""

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds a call may take by default: enough for gigabytes on a slow disk, but finite."""


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
