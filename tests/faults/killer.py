"""End a process with SIGKILL, at random times or at a named point."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import sys
import time

PATIENCE_SECONDS = 60


class Victim:
    """A forked child that runs a function and reports lines until it ends or is killed.

    Args:
        run: Called in the child with `report`, a function that takes one line of text.
        arguments: What else to call it with.
    """

    def __init__(self, run, *arguments):
        self._pipe, report = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            os.close(self._pipe)
            self._live(report, run, arguments)
        os.close(report)

    @staticmethod
    def _live(report, run, arguments):
        code = 0
        try:
            run(lambda line: os.write(report, f"{line}\n".encode()), *arguments)
        except BaseException as error:  # noqa: BLE001  told to the parent
            with contextlib.suppress(OSError):
                os.write(report, f"failed: {type(error).__name__}: {error}\n".encode())
            code = 1
        os._exit(code)

    def kill(self, after=0.0):
        """Kill the child after some seconds and give its complete lines."""
        time.sleep(after)
        os.kill(self.pid, signal.SIGKILL)
        return self.join()

    def stop(self):
        """Freeze the child, as a host does that is suspended; `kill` still works."""
        os.kill(self.pid, signal.SIGSTOP)

    def join(self):
        """Wait for the end and give the child's complete lines; a failure of its own is an error here."""
        with os.fdopen(self._pipe, "rb") as pipe:
            lines = pipe.read().decode(errors="replace").split("\n")[:-1]
        os.waitpid(self.pid, 0)
        failures = [line for line in lines if line.startswith("failed: ")]
        if failures:
            raise AssertionError(failures[0])
        return lines


def die_at(event, occurrence=1):
    """Kill this process when the interpreter is about to do something for the n-th time.

    Args:
        event: Name of an audit event, as in `os.link`, `os.rename`, `open`, `fcntl.flock`, `mmap.__new__`
            (Python documentation, "Audit events table").
        occurrence: 1 for the first one.
    """
    left = occurrence

    def hook(name, _arguments):
        nonlocal left
        if name == event:
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)


def random_delays(seed, count, longest):
    """Give `count` delays in seconds up to `longest`, short ones most often."""
    chance = random.Random(seed)
    return [longest * chance.random() ** 2 for _ in range(count)]
