"""Functions called in forked children, and in words what became of each."""

from __future__ import annotations

import json
import os
import select
import signal
import time
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PATIENCE_SECONDS = 10.0


def outcome_of(call: Callable[[], object]) -> str:
    """Call, and give the name of the error or what was returned, in words."""
    try:
        return repr(call())
    except Exception as error:  # noqa: BLE001  told to the test
        return type(error).__name__


def in_forked_child(calls: Mapping[str, Callable[[], object]]) -> dict[str, str]:
    """Call functions in a forked child; see `in_forked_children`."""
    return in_forked_children(calls, 1)[0]


def in_forked_children(calls: Mapping[str, Callable[[], object]], count: int) -> list[dict[str, str]]:
    """Call functions in several forked children at the same time, in each one after the other.

    Args:
        calls: The functions by name.
        count: The number of children.

    Returns:
        For each child, by name, what each function returned, in words, or the name of its error; "hangs" for the one
        that did not return and nothing for those behind it.
    """
    children = [_begin(calls) for _ in range(count)]
    deadline = time.monotonic() + PATIENCE_SECONDS
    return [_end(child, calls, deadline) for child in children]


def _begin(calls: Mapping[str, Callable[[], object]]) -> tuple[int, int]:
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # threads run: that is what is tried
        pid = os.fork()
    if pid == 0:
        for name, call in calls.items():
            os.write(write, json.dumps([name, outcome_of(call)]).encode() + b"\n")
        os._exit(0)
    os.close(write)
    return pid, read


def _end(child: tuple[int, int], calls: Mapping[str, Callable[[], object]], deadline: float) -> dict[str, str]:
    pid, read = child
    said = _read_all(read, deadline)
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
