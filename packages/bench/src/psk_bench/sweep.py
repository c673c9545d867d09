"""Measure channels side by side, size by size, and tell how far the work is."""

from __future__ import annotations

import gc
import os
import sys
import time
from typing import TYPE_CHECKING, Any, Final, Self

from psk.errors import ChannelFullError
from psk_bench.contender import WrongDataError
from psk_bench.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk_bench.contender import Contender


PUT: Final = "put"
GET: Final = "get"


class Series:
    """Hold the times of one operation with objects of one size on one channel.

    Args:
        label: The channel's.
        operation: `PUT` or `GET`.
        nbytes: Bytes in each object.
    """

    __slots__ = ("label", "nbytes", "operation", "seconds")

    def __init__(self, label: str, operation: str, nbytes: int) -> None:
        self.label = label
        self.operation = operation
        self.nbytes = nbytes
        self.seconds: list[float] = []

    def percentile(self, percent: float) -> float:
        """Return the time within which that many of a hundred rounds were done: nearest rank, no interpolation."""
        ordered = sorted(self.seconds)
        rank = -(-len(ordered) * percent // 100)
        return ordered[max(0, int(rank) - 1)]

    @property
    def throughput(self) -> float:
        """Bytes per second over all rounds."""
        return self.nbytes * len(self.seconds) / sum(self.seconds)

    def as_dict(self) -> dict[str, Any]:
        """Return it in plain values."""
        return {
            "channel": self.label,
            "operation": self.operation,
            "nbytes": self.nbytes,
            "rounds": len(self.seconds),
            "least_seconds": min(self.seconds),
            "mean_seconds": sum(self.seconds) / len(self.seconds),
            "p50_seconds": self.percentile(50),
            "p90_seconds": self.percentile(90),
            "p99_seconds": self.percentile(99),
            "bytes_per_second": self.throughput,
        }


QUIET_SECONDS = 1.0
TERMINAL_PAUSE, LOG_PAUSE = 0.1, 10.0
_BACK = "\r\x1b[K"


class Progress:
    """Tell how far the work is: in one line of a terminal, or now and then in a log."""

    def __init__(self) -> None:
        self._in_terminal = sys.stderr is not None and sys.stderr.isatty()
        self._begin = time.monotonic()
        self._next = self._begin + (QUIET_SECONDS if self._in_terminal else LOG_PAUSE)
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._shown:
            self._write(_BACK)

    def tell(self, what: str) -> None:
        """Say what is done now, if the last word was said a while ago."""
        now = time.monotonic()
        if now < self._next or sys.stderr is None:
            return
        text = f"psk bench, {now - self._begin:.0f} s: {what}"
        self._next = now + (TERMINAL_PAUSE if self._in_terminal else LOG_PAUSE)
        self._shown = self._in_terminal
        self._write(f"{_BACK}{text}" if self._in_terminal else f"{text}\n")

    @staticmethod
    def _write(text: str) -> None:
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):  # nobody listens there: no reason to fail
            return


WARM_UPS = 1
"""Rounds that are not counted: they open pools of connections, and memory."""

LEAST_ROUNDS = 3
_BLOCK = 1 << 20


class Sweep:
    """Measure channels side by side.

    Args:
        contenders: The channels.
        sizes: Bytes in the objects.
        rounds: How often each size is measured at most.
        seconds: How long each size may take on each channel before no further round begins.

    Attributes:
        series: What was measured.
        problems: What could not be: label, bytes, and why.
        is_wrong: Whether a channel returned something else than was put.
    """

    def __init__(self, contenders: Sequence[Contender], sizes: Sequence[int], rounds: int, seconds: float) -> None:
        self._contenders = list(contenders)
        self._sizes = sizes
        self._rounds = rounds
        self._seconds = seconds
        self.series: list[Series] = []
        self.problems: list[tuple[str, int, str]] = []
        self.is_wrong = False

    def run(self, progress: Progress) -> None:
        """Measure everything.

        Raises:
            ConnectorError: A channel failed.
        """
        was_enabled = gc.isenabled()
        try:
            for nbytes in self._sizes:
                gc.collect()
                gc.disable()  # its pauses belong to no round
                self._measure(nbytes, progress)
        finally:
            if was_enabled:
                gc.enable()

    def _measure(self, nbytes: int, progress: Progress) -> None:
        data = _random(nbytes)
        measured = {
            contender: (Series(contender.label, PUT, nbytes), Series(contender.label, GET, nbytes))
            for contender in self._contenders
        }
        end = time.monotonic() + self._seconds * len(measured)
        for turn in range(-WARM_UPS, self._rounds):
            if turn >= LEAST_ROUNDS and time.monotonic() > end:
                break
            progress.tell(f"{size_text(nbytes)}: round {max(0, turn) + 1} of up to {self._rounds}")
            _mark(data, turn)
            for contender in _rotated(list(measured), turn):
                try:
                    times = contender.round(data)
                except (ChannelFullError, WrongDataError) as error:
                    self.problems.append((contender.label, nbytes, str(error)))
                    self.is_wrong = self.is_wrong or isinstance(error, WrongDataError)
                    del measured[contender]
                    continue
                if turn >= 0:
                    for series, seconds in zip(measured[contender], times, strict=True):
                        series.seconds.append(seconds)
        self.series += [series for both in measured.values() for series in both]


def _random(nbytes: int) -> bytearray:
    """Make bytes that no channel can compress much."""
    block = os.urandom(min(nbytes, _BLOCK))
    return bytearray(block * -(-nbytes // len(block)))[:nbytes]


def _mark(data: bytearray, turn: int) -> None:
    """Make the object of each round another one, so that a mix-up is noticed."""
    mark = turn.to_bytes(8, "little", signed=True)[: len(data)]
    data[: len(mark)] = mark


def _rotated(contenders: list[Contender], turn: int) -> Iterator[Contender]:
    start = turn % len(contenders) if contenders else 0
    yield from contenders[start:]
    yield from contenders[:start]
