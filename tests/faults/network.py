"""What can happen to bytes on their way? A proxy for TCP and Unix sockets that does it on purpose."""

from __future__ import annotations

import asyncio
import contextlib
import threading

CHUNK = 65536


class FaultProxy:
    """Stand between clients and a server, in a thread of its own.

    Change the attributes at any time; they hold for the next bytes of every connection.

    Args:
        target: `(host, port)` of the server, or the path of its Unix socket.

    Attributes:
        latency: Seconds by which each piece is delayed.
        drip: Bytes per second; None does not limit.
        cut_after: Reset the connection after so many more bytes; None never does.
        corrupt_every: Flip one bit in each so-many-th byte of the answers; None leaves them alone.
        black_hole: Swallow everything, and keep the connection open.
        half_open: Pass on what the client sends and swallow what the server answers.
        passed: Bytes passed on so far.
    """

    def __init__(self, target):
        self.target = target
        self.latency = 0.0
        self.drip = self.cut_after = self.corrupt_every = None
        self.black_hole = self.half_open = False
        self.passed = 0
        self._loop = asyncio.new_event_loop()
        self._tasks = set()

    def __enter__(self):
        ready = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="fault-proxy", daemon=True)
        self._thread.start()
        ready.wait(10)
        return self

    def __exit__(self, *_):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)
        self._loop.close()

    @property
    def address(self):
        """`(host, port)` for clients; `("127.0.0.1", port)` always."""
        return self._address

    def _run(self, ready):
        self._loop.run_until_complete(self._serve(ready))

    async def _serve(self, ready):
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self._address = server.sockets[0].getsockname()
        ready.set()
        await self._stop.wait()
        server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader, writer):
        self._tasks.add(asyncio.current_task())
        back = None
        try:
            there = (
                asyncio.open_unix_connection(self.target)
                if isinstance(self.target, str)
                else asyncio.open_connection(*self.target)
            )
            answers, back = await there
            await asyncio.gather(self._pass(reader, back, towards_server=True), self._pass(answers, writer))
        except (OSError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(asyncio.current_task())
            for end in filter(None, (writer, back)):
                end.transport.abort()

    async def _pass(self, reader, writer, *, towards_server=False):
        while data := await reader.read(CHUNK if self.drip is None else max(1, int(self.drip / 20))):
            if self.latency:
                await asyncio.sleep(self.latency)
            if self.drip is not None:
                await asyncio.sleep(len(data) / self.drip)
            if self.black_hole or (self.half_open and not towards_server):
                continue
            if self.corrupt_every is not None and not towards_server:
                data = bytes(
                    byte ^ 1 if (self.passed + place + 1) % self.corrupt_every == 0 else byte
                    for place, byte in enumerate(data)
                )
            if self.cut_after is not None:
                data, self.cut_after = data[: self.cut_after], self.cut_after - len(data)
                if self.cut_after <= 0:
                    self.cut_after = None
                    writer.write(data)
                    raise ConnectionResetError
            self.passed += len(data)
            writer.write(data)
            await writer.drain()
        with contextlib.suppress(OSError):
            writer.write_eof()
