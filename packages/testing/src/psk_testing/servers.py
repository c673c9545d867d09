"""Run a server for tests in a process of its own, which can be frozen and killed."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType

PATIENCE_SECONDS = 20.0
LOOK_EVERY = 0.02


def free_port() -> int:
    """Return a TCP port of the loopback on which nothing listens at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


class ServerProcess:
    """Start a server, and wait until it is ready; use it as a context manager.

    It is a `psk_testing.network.Disturbance` for transports without a proxy: `freeze` and `kill` are
    done by signals, to the server and to all processes that it started. Needs a POSIX system.

    Args:
        command: The program and its arguments.
        is_ready: Tells whether the server can be used; called until it does, and may raise OSError.
        environment: Variables beside those of this process.
    """

    faults: ClassVar[frozenset[str]] = frozenset({"freeze", "kill"})

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        is_ready: Callable[[], object],
        *,
        environment: dict[str, str] | None = None,
    ) -> None:
        self._command = [os.fspath(word) for word in command]
        self._is_ready = is_ready
        self._environment = {**os.environ, **(environment or {})}
        self._process: subprocess.Popen[bytes] | None = None
        self._output = tempfile.TemporaryFile()  # noqa: SIM115  no pipe, which would have to be read meanwhile

    @property
    def output(self) -> str:
        """The text that it has written so far to its standard output and error."""
        self._output.seek(0)
        return self._output.read().decode(errors="replace")

    def start(self) -> None:
        """Start the server, and wait until it is ready.

        Raises:
            RuntimeError: It ended at once, or is not ready in time.
        """
        self._process = subprocess.Popen(  # noqa: S603  the command of the test
            self._command,
            stdin=subprocess.DEVNULL,
            stdout=self._output,
            stderr=subprocess.STDOUT,
            env=self._environment,
            start_new_session=True,  # signals go to all of it
        )
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                message = f"{self._command[0]} did not become ready; it said: {self.output!r}"
                raise RuntimeError(message)
            time.sleep(LOOK_EVERY)

    def freeze(self) -> None:
        """Stop all its threads, as a machine does that is suspended, until `thaw`."""
        if self._process is not None:
            self._signal(signal.SIGSTOP)
            os.waitid(os.P_PID, self._process.pid, os.WSTOPPED | os.WNOWAIT)

    def thaw(self) -> None:
        """Let it go on."""
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        """Kill it without warning."""
        self._signal(signal.SIGKILL)
        if self._process is not None:
            self._process.wait()
            self._process = None

    def cause(self, fault: str, amount: float = 0) -> None:  # noqa: ARG002  these have none
        """Cause one of `faults`; see `psk_testing.network.Disturbance`."""
        {"freeze": self.freeze, "kill": self.kill}[fault]()

    def calm(self) -> None:
        """Let it go on, or start it again."""
        if self._process is None:
            self.start()
        else:
            self.thaw()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self.thaw()
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(PATIENCE_SECONDS)
            self.kill()
        self._output.close()

    def _answers(self) -> bool:
        try:
            return bool(self._is_ready())
        except OSError:
            return False

    def _signal(self, number: int) -> None:
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)
