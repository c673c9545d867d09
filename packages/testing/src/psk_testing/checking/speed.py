"""How quick is a channel, roughly? `psk bench` measures it properly."""

from __future__ import annotations

import os
import time
from statistics import median
from typing import TYPE_CHECKING

from psk.errors import ChannelFullError
from psk.wire import encode
from psk_testing.checking.channel import bytes_of
from psk_testing.checking.outcome import RuleBrokenError

if TYPE_CHECKING:
    from psk.wire import Payload
    from psk_testing.checking.channel import Channel

SMALL_BYTES, LARGE_BYTES = 1_000, 16_000_000
MOST_SMALL, MOST_LARGE = 50, 5
BUDGET_SECONDS = 2.0


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
