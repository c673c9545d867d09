"""In which order is what measured? Size by size; in each round every channel once, the first one changing."""

from __future__ import annotations

import gc
import os
import time
from typing import TYPE_CHECKING

from psk.errors import ChannelFullError
from psk_bench.contender import WrongDataError
from psk_bench.series import GET, PUT, Series
from psk_bench.sizes import size_text

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from psk_bench.contender import Contender
    from psk_bench.progress import Progress

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
