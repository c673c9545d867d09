"""Keep the duties that are alike on every channel: the mixins, each usable alone, and the comparison of payloads."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final, Self

from psk.connectors.arguments import check_object_id, check_timeout, check_ttl, key_of, validate_plain_key
from psk.connectors.config import format_uri
from psk.wire import FIXED_SIZE, FLAGS_OFFSET, HAS_CHECKSUM

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

    from psk.connectors.arguments import Key
    from psk.wire import Buffer, Payload

HEADER_BYTES: Final = FIXED_SIZE
"""Size of the fixed part of a payload's header: id, sizes, revision and, if present, the checksum (docs/wire.md)."""

_STEP_BYTES: Final = 1024 * 1024


class ContextManaged:
    """Close the connector at the end of a `with` block."""

    __slots__ = ()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()  # type: ignore[attr-defined]  # of the connector


class AbortedAtEnd(ContextManaged):
    """Abort an allocation at the end of a `with` block; after its `commit` that does nothing."""

    __slots__ = ()

    def close(self) -> None:
        """Do what `abort` does."""
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


def has_checksum(start: Buffer) -> bool:
    """Tell whether the payload that begins with these bytes, at least `HEADER_BYTES`, carries a checksum."""
    return bool(start[FLAGS_OFFSET] & HAS_CHECKSUM)


def is_same_payload(buffers: Sequence[Buffer], read: Callable[[int, int], Buffer]) -> bool:
    """Tell whether a stored payload equals the one being put.

    Payloads with a checksum are equal if their headers are; of others all bytes are compared.

    Args:
        buffers: The payload being put, back to back; the first begins with its header.
        read: Returns stored bytes, `read(nbytes, offset)` as `os.pread` without its file; fewer at the end.
    """
    header = bytes(buffers[0][:HEADER_BYTES])
    if read(HEADER_BYTES, 0) != header:
        return False
    if has_checksum(header):
        return True
    offset = 0
    for buffer in buffers:
        view = memoryview(buffer)
        for start in range(0, len(view), _STEP_BYTES):
            part = view[start : start + _STEP_BYTES]
            if part != read(len(part), offset):
                return False
            offset += len(part)
    return True
