"""What must every channel be able to do? docs/contract.md numbers each duty; these are its methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final, Protocol, Self, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

    from typing_extensions import TypeVar  # in typing its `default` is there from Python 3.13 on

    from psk.connectors.key import Key
    from psk.wire import Frames, Payload

    KeyT_co = TypeVar("KeyT_co", covariant=True, default=Key)
else:
    from typing import TypeVar

    KeyT_co = TypeVar("KeyT_co", covariant=True)

DURABILITIES: Final = ("volatile", "host", "disk", "replicated")
"""The levels a channel can promise, weakest first (docs/contract.md, C30)."""

DEFAULT_TIMEOUT: Final = 600.0
"""Seconds a call may take when nobody says otherwise: enough for gigabytes on a slow disk, but finite."""


class ContextManaged:
    """Let a `with` block close what it is given, however the block ends."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()  # type: ignore[attr-defined]  # a connector's


@runtime_checkable
class Connector(Protocol[KeyT_co]):
    """Moves payloads to and from one channel.

    It can be subscripted for annotations, as in `Connector[Any]`, which says nothing: every key is text.

    Every method is thread-safe, ends within its deadline in a value or an error from `psk.errors`, and
    accepts `timeout` in seconds (None: the connector's own finite default).
    """

    scheme: ClassVar[str]
    """The scheme of the URIs that open this connector."""

    leaves_host: ClassVar[bool]
    """Whether bytes leave this host's memory, so that payloads carry a checksum unless told otherwise."""

    @property
    def durabilities(self) -> tuple[str, ...]:
        """Which of `DURABILITIES` an acknowledged `put` can keep here, weakest first."""
        ...

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Store a payload whole, or not at all, and name it.

        Args:
            payload: What to store; its buffers are not used after the return.
            ttl: Seconds until it expires, counted by the channel; None keeps it until it is evicted.
            timeout: Seconds this call may take.
            hints: Wishes of the caller by name; a connector uses those it knows and ignores the others.

        Returns:
            The key, which begins with the payload's object id. The same payload put twice is one put.

        Raises:
            KeyExistsError: A different payload stands under this object id.
            CapabilityError: `ttl` was given and the channel cannot keep it.
            ChannelFullError: There is no room; nothing was stored.
            ChannelUnavailableError: The channel cannot be reached or refuses.
            DeadlineError: The time was up; a completed object may or may not be visible.
        """
        ...

    def get(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Fetch the whole payload under a key, or nothing.

        Args:
            key: What `put` returned.
            size: Bytes that the reference says the payload has: a hint, never trusted.
            timeout: Seconds this call may take.

        Returns:
            What was read, not interpreted; None if no object stands under the key.

        Raises:
            InvalidKeyError: The key is malformed.
            PayloadError: What stands there is shorter than it was a moment ago.
            ChannelDataError: Something that is no object of psk stands under the key.
        """
        ...

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether a completed, unexpired object stands under a key."""
        ...

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object under a key; a missing one is no error."""
        ...

    def close(self) -> None:
        """Release what this instance opened, and delete nothing; closing twice is no error."""
        ...

    def __enter__(self) -> Self:
        """Give this instance to a `with` block; `ContextManaged` has this method and the next."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Close at the end of the block, and let its error pass."""
        ...

    def config(self) -> dict[str, object]:
        """Describe how to rebuild this connector elsewhere, in plain values and without secrets."""
        ...

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Rebuild a connector from `config()` or from a parsed URI, where every value is text.

        Raises:
            ConnectorConfigError: An option is unknown or its value makes no sense; the known ones are listed.
        """
        ...
