"""Run all checks on a live channel and time it; a call that hangs ends the check."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from statistics import median
from typing import TYPE_CHECKING, Any

from psk.connectors import open_connector
from psk.errors import ChannelFullError
from psk.wire import encode
from psk_testing.checking import capabilities, duties
from psk_testing.checking.channel import BROKEN, HELD, SKIPPED, Channel, Outcome, RuleBrokenError, bytes_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.wire import Payload


CALLS = 6
"""Timeouts of one call that a check may take, since it makes several calls."""

SMALL_BYTES, LARGE_BYTES = 1_000, 16_000_000
MOST_SMALL, MOST_LARGE = 50, 5
BUDGET_SECONDS = 2.0


class Live:
    """Run the checks on a channel.

    Args:
        uri: Opened here, and closed by `close`.
        timeout: Seconds one call may take.

    Raises:
        ConnectorError: It cannot be opened.
        TimeoutError: Opening it hangs.
    """

    def __init__(self, uri: str, timeout: float) -> None:
        self.hangs = False
        self._patience = CALLS * timeout
        self._stopped = threading.Event()
        self.channel = Channel(self._within_patience(open_connector, uri), timeout, self._stopped)

    def checks(self) -> list[Outcome]:
        """Run every check; after one that hangs the others are skipped."""
        found = []
        for check in (*duties.CHECKS, *capabilities.CHECKS):
            if self.hangs:
                found.append(Outcome(check.rule, check.what, SKIPPED, "not looked at, since a call before it hangs"))
                continue
            try:
                found.append(self._within_patience(check.run, self.channel))
            except TimeoutError:
                self.hangs = True
                found.append(check.broken(f"a call did not end: {self._patience:.0f} s are over (C5)"))
        return found

    def speed(self) -> dict[str, Any] | None:
        """Time it, unless it hangs or returns something wrong, of which the checks tell."""
        if self.hangs:
            return None
        try:
            measured: dict[str, Any] = self._within_patience(measure_speed, self.channel)
        except Exception:  # noqa: BLE001  # a connector under test raises anything
            return None
        return measured

    def tidy(self) -> Outcome:
        """Evict everything that the checks put, and look whether something is left."""
        what, fix = "nothing of this check is left", "see why evict does not remove what put placed"
        left: list[str] = []
        try:
            self._within_patience(self.channel.tidy)
            left = self._within_patience(lambda: list(self.channel.leftovers()))
        except TimeoutError:
            return Outcome("C28", what, BROKEN, "not known, since a call hangs", fix)
        except Exception as error:  # noqa: BLE001  # a connector under test raises anything
            return Outcome("C28", what, BROKEN, f"not known: {type(error).__name__}: {error}", fix)
        return Outcome("C28", what, BROKEN if left else HELD, ", ".join(left[:5]), fix if left else "")

    def close(self) -> None:
        """Close the connector, however long it takes."""
        with suppress(Exception):
            self._within_patience(self.channel.connector.close)

    def _within_patience(self, function: Callable[..., Any], *arguments: Any) -> Any:
        # In a thread of its own: what hangs there keeps neither us nor the end of this process waiting.
        ended: list[tuple[Any, BaseException | None]] = []
        # Not `join`: one that is interrupted takes the thread for ended (CPython 3.11, Thread._wait_for_tstate_lock).
        has_ended = threading.Event()

        def call() -> None:
            try:
                ended.append((function(*arguments), None))
            except BaseException as error:  # noqa: BLE001  # it is raised where the result is asked for
                ended.append((None, error))
            has_ended.set()

        thread = threading.Thread(target=call, name="psk-check", daemon=True)
        try:
            thread.start()
            has_ended.wait(self._patience)
        except BaseException:  # Ctrl-C, in this thread alone: what the other one puts after the tidying would stay
            self._stopped.set()
            if thread.ident is not None:  # one that has not begun yet will find that it is to stop
                has_ended.wait(self._patience / CALLS)
            raise
        if not ended:
            raise TimeoutError
        result, error = ended.pop()
        if error is not None:
            raise error
        return result


def measure_speed(channel: Channel) -> dict[str, float | int | None]:
    """Time puts and gets of small and large objects, each verified afterwards and evicted.

    Returns:
        Medians in seconds; None for what there was no room for.
    """
    put_small, get_small = _measure(channel, SMALL_BYTES, MOST_SMALL)
    put_large, get_large = _measure(channel, LARGE_BYTES, MOST_LARGE)
    return {
        "small_bytes": SMALL_BYTES,
        "put_small_seconds": put_small,
        "get_small_seconds": get_small,
        "large_bytes": LARGE_BYTES,
        "put_large_seconds": put_large,
        "get_large_seconds": get_large,
        "wait_seconds": median(channel.wake_seconds) if channel.wake_seconds else None,
    }


def _measure(channel: Channel, nbytes: int, most: int) -> tuple[float | None, float | None]:
    puts: list[float] = []
    gets: list[float] = []
    data = bytearray(os.urandom(nbytes))  # not bytes: what could change must be copied
    end = time.monotonic() + BUDGET_SECONDS
    while len(puts) < most and (not puts or time.monotonic() < end):
        payload = channel.remembered(encode(data))
        try:
            put, get = _round(channel, payload)
        except ChannelFullError:
            break
        puts.append(put)
        gets.append(get)
    return (median(puts), median(gets)) if puts else (None, None)


def _round(channel: Channel, payload: Payload) -> tuple[float, float]:
    begin = time.perf_counter()
    key = channel.put(payload)
    middle = time.perf_counter()
    frames = channel.connector.get(key, timeout=channel.timeout)
    end = time.perf_counter()
    if frames is None or bytes_of(frames) != payload.tobytes():
        raise RuleBrokenError(f"{payload.nbytes} bytes did not come back as they were (C21)")
    channel.evict(key)
    return middle - begin, end - middle
