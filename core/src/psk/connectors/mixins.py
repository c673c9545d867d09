"""Provide the methods of a connector that follow from others. Each mixin can be used alone."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Self

from psk.connectors.arguments import check_object_id, check_timeout, check_ttl, key_of, validate_plain_key
from psk.connectors.config import format_uri

if TYPE_CHECKING:
    from types import TracebackType

    from psk.connectors.arguments import Key
    from psk.wire import Payload


class ContextManaged:
    """Close the connector at the end of a `with` block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()  # type: ignore[attr-defined]  # of the connector


class AbortedAtEnd:
    """Abort an allocation at the end of a `with` block; after its `commit` that does nothing."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.abort()  # type: ignore[attr-defined]  # of the allocation


class Finalised:
    """Close the connector when it is garbage-collected, unless the interpreter is ending."""

    __slots__ = ()

    def __del__(self) -> None:
        # A finaliser never raises: the instance may be half made. At the interpreter's end everything is released by
        # itself, and locks may be held for ever by threads that were stopped.
        try:
            if not sys.is_finalizing():
                self.close()  # type: ignore[attr-defined]  # of the connector
        except Exception:  # noqa: BLE001, S110  at the very end `contextlib.suppress` may be gone
            pass


class Rebuilding:
    """Derive the URI and the pickle of a connector from its `config()` and `from_config()` (C37, C59)."""

    __slots__ = ()

    def uri(self) -> str:
        """Return the URI that opens this channel elsewhere; see `Connector.uri`."""
        return format_uri(self.config())  # type: ignore[attr-defined]  # of the connector

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).from_config, (self.config(),)  # type: ignore[attr-defined]  # of the connector


class Reserving:
    """Serve SupportsReserve on a channel where a key costs nothing until its object is put (C40, C41).

    The connector has a method `check_open()`, which raises if nothing can be put.
    """

    __slots__ = ()

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Return the key that the object with this id will have; the channel is not asked."""
        check_timeout(timeout)
        if ttl is not None:
            check_ttl(ttl)
        self.check_open()  # type: ignore[attr-defined]  # of the connector
        return key_of(object_id)

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved."""
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)  # type: ignore[attr-defined]  # of the connector
