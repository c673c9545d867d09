"""Provide the methods of a connector that follow from others. Each mixin can be used alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Protocol, Self

from psk.connectors.arguments import check_object_id, check_timeout, check_ttl, key_of, validate_plain_key
from psk.connectors.config import format_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from psk.connectors.arguments import Key
    from psk.wire import Payload

    class _Closing(Protocol):
        close: Callable[[], None]

    class _Configured(Protocol):
        def config(self) -> dict[str, object]: ...

        @classmethod
        def from_config(cls, config: Mapping[str, object]) -> Any: ...

    class _Putting(Protocol):
        def check_open(self) -> None: ...

        def put(self, payload: Payload, *, ttl: float | None, timeout: float | None) -> Key: ...


class ContextManaged:
    """Close the connector at the end of a `with` block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self: _Closing, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Finalised:
    """Close the connector when it is garbage-collected, unless the interpreter is ending."""

    __slots__ = ()

    def __del__(self: _Closing) -> None:
        # A finaliser never raises: the instance may be half made. At the interpreter's end everything is released by
        # itself, and locks may be held for ever by threads that were stopped.
        try:
            if not sys.is_finalizing():
                self.close()
        except Exception:  # noqa: BLE001, S110  at the very end `contextlib.suppress` may be gone
            pass


class Rebuilding:
    """Derive the URI and the pickle of a connector from its `config()` and `from_config()` (C37, C59)."""

    __slots__ = ()

    def uri(self: _Configured) -> str:
        """Return the URI that opens this channel elsewhere; see `Connector.uri`."""
        return format_uri(self.config())

    def __reduce__(self: _Configured) -> tuple[Any, ...]:
        return type(self).from_config, (self.config(),)


class Reserving:
    """Serve SupportsReserve on a channel where a key costs nothing until its object is put (C40, C41).

    The connector has a method `check_open()`, which raises if nothing can be put.
    """

    __slots__ = ()

    def reserve(self: _Putting, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Return the key that the object with this id will have; the channel is not asked."""
        check_timeout(timeout)
        if ttl is not None:
            check_ttl(ttl)
        self.check_open()
        return key_of(object_id)

    def fulfil(
        self: _Putting, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None
    ) -> None:
        """Put the object that was reserved."""
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)
