"""Measure what a run costs: bytes through the executor, time and memory."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from time import perf_counter
from typing import TYPE_CHECKING

from memory import PeakMemory

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Cost:
    """What one run took.

    Attributes:
        sent: Bytes of pickled work items that the executor's pipe carried to the workers; threads need none.
        received: Bytes of pickled results that came back.
        seconds: Wall time, the workers already started.
        memory: Largest use of memory, from the start of the program to its end.
    """

    sent: int = 0
    received: int = 0
    seconds: float = 0.0
    memory: PeakMemory = field(default_factory=PeakMemory)


@contextmanager
def counted(cost: Cost) -> Iterator[None]:
    """Add the time of a `with` block, and the bytes that multiprocessing's pipes carry meanwhile, to a cost.

    They are counted at the pipe, since pickling everything once more would change time and memory.
    """
    send, receive = Connection._send_bytes, Connection._recv_bytes  # noqa: SLF001  below are only system calls

    def counting_send(self: Connection, message: memoryview) -> None:
        cost.sent += len(message)
        send(self, message)

    def counting_receive(self: Connection, maxsize: int | None = None) -> object:
        message = receive(self, maxsize)
        cost.received += message.getbuffer().nbytes
        return message

    Connection._send_bytes, Connection._recv_bytes = counting_send, counting_receive  # noqa: SLF001  as above
    start = perf_counter()
    try:
        yield
    finally:
        cost.seconds += perf_counter() - start
        Connection._send_bytes, Connection._recv_bytes = send, receive  # noqa: SLF001  as above
