"""Measure what encoding and decoding cost beyond the checksum."""

from __future__ import annotations

import zlib
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import numpy as np
from row import Row
from timing import take_turns

from psk.connectors import Frames, Payload, allocate
from psk.wire import decode, encode

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 20


def measure() -> Iterator[Row]:
    """Encode and decode an array of 100 MB in memory, with and without the checksum, and compute that alone."""
    array = np.random.default_rng(1).random(12_500_000)
    samples = take_turns(
        {
            "plain": partial(round_trip, array, checksum=False),
            "verified": partial(round_trip, array, checksum=True),
            "checksum": partial(checksum_twice, array),
        },
        REPETITIONS,
    )
    plain, verified, checksum = (samples[name]["both"] for name in ("plain", "verified", "checksum"))
    yield Row("encode + decode a 100 MB array, checksum left out", "ms", plain, [], limit=1, digits=3)
    beyond = [whole - part for whole, part in zip(verified, checksum, strict=True)]
    yield Row("... with checksum, less twice CRC-32 of the same bytes", "ms", beyond, [])
    yield Row("... twice CRC-32 of the same bytes", "ms", checksum, [])


def round_trip(array: np.ndarray, *, checksum: bool) -> dict[str, float]:
    start = perf_counter()
    payload = encode(array, checksum=checksum)
    assert (payload.checksum is not None) == checksum  # of a large payload it is computed now
    encoded = perf_counter() - start
    # This copy is the channel's part: what arrives lies in private memory of the receiver.
    arrived = allocate(payload.nbytes)
    arrived[:] = payload.tobytes()
    start = perf_counter()
    received = Payload.parse(Frames([arrived]))
    received.verify()
    copy = decode(received)
    decoded = perf_counter() - start
    assert copy[-1] == array[-1]
    return {"both": encoded + decoded}


def checksum_twice(array: np.ndarray) -> dict[str, float]:
    view = memoryview(array).cast("B")
    start = perf_counter()
    zlib.crc32(view)
    zlib.crc32(view)
    return {"both": perf_counter() - start}
