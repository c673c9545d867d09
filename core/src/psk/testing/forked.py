"""How does a test use a forked child? It calls functions there, and asks in words what became of each."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE_SECONDS = 10.0


def outcome_of(call: Callable[[], object]) -> str:
    """Call, and give the name of the error or what was returned, in words."""
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001  told to the test
        return type(error).__name__


def in_forked_child(calls: dict[str, Callable[[], object]]) -> dict[str, str]:
    """Call functions in a forked child, one after the other.

    Args:
        calls: The functions by name.

    Returns:
        By name what each returned, in words, or the name of its error; "hangs" for the one that did not return and
        nothing for those behind it.
    """
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads run: that is what is tried
        pid = os.fork()
    if pid == 0:
        for name, call in calls.items():
            os.write(write, json.dumps([name, outcome_of(call)]).encode() + b"\n")
        os._exit(0)
    os.close(write)
    said = _read_all(read, time.monotonic() + PATIENCE_SECONDS)
    os.close(read)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    outcomes = dict(json.loads(line) for line in said.split(b"\n")[:-1])
    for name in calls:
        if name not in outcomes:
            outcomes[name] = "hangs"
            break
    return outcomes


def _read_all(descriptor: int, deadline: float) -> bytes:
    said = b""
    while select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))[0]:
        more = os.read(descriptor, 65536)
        if not more:
            break
        said += more
    return said
