"""Relay between clients and a server, and delay, drip, cut, swallow, damage or refuse what passes."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
from typing import TYPE_CHECKING, ClassVar, Protocol, Self

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from types import TracebackType

CHUNK = 65536
PATIENCE_SECONDS = 10.0
FROZEN_NAP = 0.01
RESET = struct.pack("ii", 1, 0)
"""The value of SO_LINGER with which a closed socket tells its peer so by a reset."""


class Disturbance(Protocol):
    """Cause faults between a connector and its server: the fixture `proxy` of the conformance suite.

    `FaultProxy` does it to TCP and Unix sockets, `psk_testing.servers.ServerProcess` by signals to the server.

    Attributes:
        faults: What it can cause. The suite knows, each with its amount:

            - "latency": each piece of data is delayed by that many seconds;
            - "drip": each connection passes on that many bytes per second;
            - "cut": a connection ends after that many more bytes;
            - "corrupt": one bit in each so-many-th byte of the answers is flipped;
            - "black-hole": everything is swallowed, and connections stay open;
            - "half-open": answers are swallowed;
            - "freeze": nothing moves, and nothing is lost;
            - "reset": all connections are reset now;
            - "refuse": the server cannot be reached, and keeps what it has;
            - "kill": the server dies; `calm` starts another one, perhaps without the objects.
    """

    @property
    def faults(self) -> frozenset[str]: ...  # noqa: D102  above

    def cause(self, fault: str, amount: float = 0) -> None:
        """Cause one of `faults` from now on, beside those that last already."""
        ...

    def calm(self) -> None:
        """End all faults: the server can be reached, and goes on. What was swallowed stays lost."""
        ...


class FaultProxy:
    """Relay between clients and a server in a thread; use it as a context manager.

    Change the attributes at any time; they hold for the next bytes of every connection, and `calm` undoes them all.

    Args:
        target: `(host, port)` of the server, or the path of its Unix socket.

    Attributes:
        latency: Seconds by which each piece is delayed.
        drip: Bytes per second of each connection; None does not limit.
        cut_after: Close the connection after that many more bytes; None means never.
        corrupt_every: Flip one bit in each so-many-th byte of the answers; None leaves them alone.
        corrupt_requests_every: The same for what clients send.
        black_hole: Swallow everything, and keep the connection open.
        half_open: Pass on what the client sends and swallow what the server answers.
        frozen: Pass on nothing, and lose nothing: clients and server have to wait.
        passed: Bytes passed on so far.
    """

    latency: float
    drip: int | None
    cut_after: int | None
    corrupt_every: int | None
    corrupt_requests_every: int | None
    black_hole: bool
    half_open: bool
    frozen: bool

    faults: ClassVar[frozenset[str]] = frozenset(
        {"latency", "drip", "cut", "corrupt", "black-hole", "half-open", "freeze", "reset", "refuse"}
    )

    def __init__(self, target: tuple[str, int] | str) -> None:
        self.target = target
        self.passed = 0
        self._pass_everything()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._address = ("127.0.0.1", 0)
        self._thread = threading.Thread(target=self._run, name="fault-proxy", daemon=True)

    def cause(self, fault: str, amount: float = 0) -> None:
        """Cause one of `faults`; see `Disturbance`."""
        match fault:
            case "latency":
                self.latency = amount
            case "drip":
                self.drip = int(amount)
            case "cut":
                self.cut_after = int(amount)
            case "corrupt":
                self.corrupt_every = int(amount)
            case "black-hole":
                self.black_hole = True
            case "half-open":
                self.half_open = True
            case "freeze":
                self.frozen = True
            case "reset":
                self.reset()
            case "refuse":
                self.refuse()
            case _:
                message = f"a FaultProxy cannot cause {fault!r}, only {', '.join(sorted(self.faults))}"
                raise ValueError(message)

    def calm(self) -> None:
        """Accept connections, and let everything pass as it comes; what was swallowed stays lost."""
        self._pass_everything()
        self.accept()

    def _pass_everything(self) -> None:
        self.latency = 0.0
        self.drip = self.cut_after = self.corrupt_every = self.corrupt_requests_every = None
        self.black_hole = self.half_open = self.frozen = False

    @property
    def address(self) -> tuple[str, int]:
        """`(host, port)` for clients."""
        return self._address

    @property
    def connections(self) -> int:
        """Number of connected clients."""
        return len(self._tasks)

    def refuse(self) -> None:
        """Reset every connection and refuse new ones, as a host does whose server has died; `accept` ends it."""
        self._soon(self._refuse())

    def accept(self) -> None:
        """Listen again, on the same port."""
        self._soon(self._listen())

    def reset(self) -> None:
        """Reset every connection that there is now."""
        self._soon(self._reset())

    def __enter__(self) -> Self:
        self._thread.start()
        try:
            self.accept()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(PATIENCE_SECONDS)
        self._loop.close()

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._stop.wait())

    def _soon(self, coroutine: Coroutine[None, None, None]) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(PATIENCE_SECONDS)

    async def _listen(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, *self._address)
            self._address = self._server.sockets[0].getsockname()

    async def _refuse(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._reset()

    async def _reset(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:  # never in a callback of start_server, which type checkers do not know
            return
        self._tasks.add(task)
        ends = [writer]
        try:
            if isinstance(self.target, str):
                answers, back = await asyncio.open_unix_connection(self.target)
            else:
                answers, back = await asyncio.open_connection(*self.target)
            ends.append(back)
            await asyncio.gather(self._pass(reader, back, towards_server=True), self._pass(answers, writer))
        except OSError:
            pass
        except asyncio.CancelledError:
            for end in ends:
                end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        finally:
            self._tasks.discard(task)
            for end in ends:
                end.transport.abort()

    async def _pass(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, towards_server: bool = False
    ) -> None:
        while data := await reader.read(CHUNK if self.drip is None else max(1, self.drip // 20)):
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.drip is not None:
                await asyncio.sleep(len(data) / self.drip)
            while self.frozen:  # noqa: ASYNC110  other threads set it
                await asyncio.sleep(FROZEN_NAP)
            if self._swallows(towards_server=towards_server):
                continue
            passed = self._damaged(data, self.corrupt_requests_every if towards_server else self.corrupt_every)
            if self.cut_after is not None:
                passed, self.cut_after = passed[: self.cut_after], self.cut_after - len(passed)
                if self.cut_after <= 0:
                    self.cut_after = None
                    writer.write(passed)
                    raise ConnectionResetError
            self.passed += len(passed)
            writer.write(passed)
            await writer.drain()
        # What swallows bytes swallows the news of the end as well.
        if not self._swallows(towards_server=towards_server):
            with contextlib.suppress(OSError):
                writer.write_eof()

    def _swallows(self, *, towards_server: bool) -> bool:
        return self.black_hole or (self.half_open and not towards_server)

    def _damaged(self, data: bytes, every: int | None) -> bytes:
        if every is None:
            return data
        changed = bytearray(data)
        for place in range(-self.passed % every, len(data), every):
            changed[place] ^= 1
        return bytes(changed)
