"""Run one job of `psk_testing.peer` in a new process, and judge how it ended."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

PEER = Path(__file__).with_name("peer.py")
PATIENCE_SECONDS = 60.0
"""Seconds that a job may take; then the other process reports where it is, and is killed."""

LAST_WORDS_SECONDS = 0.2


class PeerError(AssertionError):
    """The job of another process failed.

    Args:
        classes: The names of the error's classes, its own first.
        message: What it said.
    """

    def __init__(self, classes: list[str], message: str) -> None:
        super().__init__(f"another process raised {classes[0]}: {message}")
        self.classes = classes


class Spawned:
    """Run one job of `psk_testing.peer` in a new process, which ends with the block.

    Args:
        job: The name of the job.
        options: Its arguments, which JSON can carry.
    """

    def __init__(self, job: str, **options: object) -> None:
        # It finds what this process finds, wherever tests keep their connectors.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115  no pipe, which would have to be read meanwhile
        self._process = subprocess.Popen(  # noqa: S603  our own program
            [sys.executable, "-P", str(PEER), job, json.dumps(options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._complaints,
            text=True,
            env=environment,
            start_new_session=True,  # so that what it forks can be killed with it, and holds no pipe open
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._end()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        self._complaints.close()

    def line(self) -> str:
        """Wait for the next line that it says; empty when it has ended."""
        if self._process.stdout is None:
            return ""
        with timer(PATIENCE_SECONDS, self._give_up):
            return self._process.stdout.readline().rstrip("\n")

    def await_ready(self) -> None:
        """Wait until it is ready.

        Raises:
            PeerError: It failed before.
        """
        said = self.line()
        if said != "ready":
            self._judge(said)

    def start(self) -> None:
        """Let a job go on that waits for the others."""
        if self._process.stdin is not None:
            self._process.stdin.write("go\n")
            self._process.stdin.flush()

    def answer(self) -> Any:
        """Wait for the answer of the job, and for the end of the process.

        Raises:
            PeerError: The job failed.
            AssertionError: The process ended badly afterwards: with another exit code than 0, or never.
        """
        answer = self._judge(self._rest().rstrip("\n").rpartition("\n")[2])
        if code := self._process.returncode:
            how = f"with {code}" if code != -signal.SIGKILL else f"not at all, within {PATIENCE_SECONDS:.0f} s"
            message = f"another process did its work and then ended {how}; it said: {self.complaints()!r}"
            raise AssertionError(message)
        return answer

    def complaints(self) -> str:
        """Return what it has written to its standard error."""
        self._complaints.seek(0)
        return self._complaints.read().decode(errors="replace")

    def kill(self) -> list[str]:
        """Kill it without warning, and return the whole lines that it had written and nobody had read."""
        self._process.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        return self._rest().split("\n")[:-1]

    def _give_up(self) -> None:
        """Have it say where it is, and kill it."""
        if hasattr(signal, "SIGUSR1"):
            self._process.send_signal(signal.SIGUSR1)
            time.sleep(LAST_WORDS_SECONDS)
        self._end()

    def _end(self) -> None:
        """Kill it, and what it has forked."""
        if hasattr(os, "killpg"):
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        else:
            self._process.kill()

    def _rest(self) -> str:
        # Not `communicate`, which knows nothing of what `line` has read ahead.
        with timer(PATIENCE_SECONDS, self._give_up):
            said = "" if self._process.stdout is None else self._process.stdout.read()
            self._process.wait()
        return said

    def _judge(self, said: str) -> Any:
        try:
            outcome = json.loads(said)
        except ValueError:
            message = f"another process ended early; its last words: {said!r}, {self.complaints()!r}"
            raise AssertionError(message) from None
        if "error" in outcome:
            raise PeerError(outcome["error"], outcome["message"])
        return outcome["answer"]


@contextmanager
def timer(seconds: float, call: Callable[[], object]) -> Iterator[None]:
    """Call something if the block takes longer."""
    impatience = threading.Timer(seconds, call)
    impatience.start()
    try:
        yield
    finally:
        impatience.cancel()
        impatience.join()


def all_at_once(peers: list[Spawned]) -> list[Any]:
    """Let jobs go on that wait for each other, and return their answers."""
    for peer in peers:
        peer.await_ready()
    for peer in peers:
        peer.start()
    return [peer.answer() for peer in peers]
