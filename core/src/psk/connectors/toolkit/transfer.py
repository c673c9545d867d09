"""Move payloads over sockets within a deadline, without copying large buffers, and sum them as they arrive."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from psk.errors import PayloadError
from psk.plugins.importing import on_demand
from psk.wire import CHUNK_BYTES

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterator, Sequence

    from psk.wire.chunks import Span

    Buffer = bytes | bytearray | memoryview

JOINED_BYTES: Final = 64 * 1024
"""Buffers below are copied together, since a system call costs more; longer ones are sent as they lie."""

STEP_BYTES: Final = 256 * 1024
"""Bytes received before the header block is read: it is rarely longer."""


def seconds_left(deadline: float) -> float:
    """Return the seconds until a deadline (by `time.monotonic`), more than 0, as the timeout of a system call.

    Raises:
        TimeoutError: None are left.
    """
    seconds = deadline - time.monotonic()
    if seconds <= 0:
        raise TimeoutError
    return seconds


def gather_send(to: socket.socket, buffers: Sequence[Buffer], deadline: float) -> None:
    """Send buffers that follow each other: short ones copied together, long ones as they lie.

    Args:
        to: A connected stream socket, with TLS or without; its timeout changes.
        buffers: What to send; none of them is used after the call, however it ends.
        deadline: When all of it must have been handed to the system, by `time.monotonic`.

    Raises:
        TimeoutError: The deadline passed.
        OSError: The connection broke.
    """
    for piece in join_short(buffers):
        rest = memoryview(piece)
        while rest:
            to.settimeout(seconds_left(deadline))  # each time: with TLS it is for one record
            rest = rest[to.send(rest) :]


def receive_into(
    source: socket.socket,
    view: memoryview,
    deadline: float,
    *,
    filled: int = 0,
    reach: Callable[[memoryview, int], None] | None = None,
) -> None:
    """Fill memory from a socket.

    Args:
        source: A connected stream socket, with TLS or without; its timeout changes.
        view: The memory, which is filled to its end.
        deadline: When it must be full, by `time.monotonic`: a peer that drips does not outlast it.
        filled: How much of it is filled already.
        reach: Is told up to where the memory is filled, after each step, as `Summing.reach` wants it.

    Raises:
        TimeoutError: The deadline passed.
        OSError: The connection broke or ended.
    """
    length = len(view)
    while filled < length:
        source.settimeout(seconds_left(deadline))
        count = source.recv_into(view[filled:])
        if not count:
            raise ConnectionResetError("the server closed the connection")
        filled += count
        if reach is not None:
            reach(view, filled)


def join_short(buffers: Sequence[Buffer]) -> Iterator[Buffer]:
    """Copy short buffers that follow each other into pieces of up to `JOINED_BYTES`; leave long ones as they are."""
    joined = bytearray()
    for buffer in buffers:
        if len(joined) + len(buffer) > JOINED_BYTES:
            if joined:
                yield joined
            joined = bytearray()
        if len(buffer) >= JOINED_BYTES:
            yield buffer
        else:
            joined += buffer
    if joined:
        yield joined


class Summing:
    """Compute the checksums of a large payload's chunks while it arrives, each as it is still in the cache."""

    __slots__ = ("_done", "_spans", "_sums")

    def __init__(self) -> None:
        self._spans: list[Span] | None = None
        self._sums = bytearray()
        self._done = 0

    def reach(self, whole: memoryview, end: int) -> None:
        """Take note that a payload has arrived up to `end`, and sum each span that is complete.

        Args:
            whole: The payload's memory.
            end: How much of it has arrived; less than before if the rest is fetched again.
        """
        if self._spans is None:
            if end < min(STEP_BYTES, len(whole)):
                return
            self._spans = self._divided(whole, end)
        spans = self._spans
        while self._done and spans[self._done - 1].end > end:
            self._done -= 1
        while self._done < len(spans) and spans[self._done].end <= end:
            spans[self._done].sum_into(self._sums)
            self._done += 1

    def of(self, whole: bytes | memoryview) -> bytes | None:
        """Return the checksums as `Frames` takes them; None if not all were computed."""
        spans = self._spans
        return bytes(self._sums) if spans and self._done == len(spans) and spans[-1].end == len(whole) else None

    def _divided(self, whole: memoryview, end: int) -> list[Span]:
        if len(whole) <= CHUNK_BYTES:
            return []  # summed when it is verified
        with on_demand:
            from psk.wire.chunks import spans_of, table_of

        try:
            spans = spans_of(whole[:end], whole)
        except PayloadError:  # parsing says so
            return []
        if spans:
            self._sums = table_of(spans)
        return spans
