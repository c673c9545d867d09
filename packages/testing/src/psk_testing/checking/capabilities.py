"""Check the capabilities of a connector on a live channel."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from psk.connectors import (
    SupportsAsync,
    SupportsBatch,
    SupportsExpiry,
    SupportsList,
    SupportsRange,
    SupportsReserve,
    SupportsSwap,
    SupportsTake,
    SupportsWait,
)
from psk.errors import (
    CapabilityError,
    DeadlineError,
    InvalidKeyError,
    MissingKeyError,
    RevisionConflictError,
)
from psk_testing.checking.channel import (
    Check,
    CheckStoppedError,
    NotOfferedError,
    bytes_of,
    checks,
    require,
    require_error,
)

if TYPE_CHECKING:
    from psk.connectors import Payload
    from psk_testing.checking.channel import Channel


CHECKS: list[Check] = []
SHORT_SECONDS = 0.3
MERCY_SECONDS = 0.5
"""Seconds by which a call may miss its deadline (C5)."""
CLOCK_SECONDS = 0.01
"""By how much two readings of the clock may differ."""
WAKE_UPS = 5


@checks(CHECKS, "C41", "a reserved object is named before it is put", fix="derive the key from the object id alone")
def _reserve(channel: Channel) -> None:
    connector = channel.offering(SupportsReserve)
    payload = channel.payload()
    key = connector.reserve(payload.object_id, timeout=channel.timeout)
    require(channel.get(key) is None, "something is there before it is fulfilled")
    wrong = channel.payload()
    require_error(InvalidKeyError, lambda: connector.fulfil(key, wrong), "another object under the reserved key")
    connector.fulfil(key, payload, timeout=channel.timeout)
    require(channel.get(key) == payload.tobytes(), "it is not there after it was fulfilled")


@checks(CHECKS, "C42", "wait wakes up when an object arrives", fix="watch first, then look, then sleep")
def _wait(channel: Channel) -> None:
    connector = channel.offering(SupportsWait)
    for _ in range(WAKE_UPS):
        payload = channel.payload()
        put_at: list[float] = []

        def put(payload: Payload = payload, put_at: list[float] = put_at) -> None:
            time.sleep(SHORT_SECONDS / 3)
            with suppress(CheckStoppedError):
                channel.put(payload)
                put_at.append(time.monotonic())

        writer = threading.Thread(target=put, name="psk-check", daemon=True)
        writer.start()
        found = connector.wait([os.urandom(16).hex(), payload.key], timeout=channel.timeout)
        woken = time.monotonic()
        writer.join(channel.timeout)
        require([key.partition("@")[0] for key in found] == [payload.key], f"it returned {found!r:.120}")
        require(put_at, "the put beside it did not end")
        channel.wake_seconds.append(max(0.0, woken - put_at[0]))


@checks(CHECKS, "C5", "wait ends at its deadline", fix="give every wait inside it what is left of the deadline")
def _deadline(channel: Channel) -> None:
    connector = channel.offering(SupportsWait)
    begin = time.monotonic()
    require_error(
        DeadlineError, lambda: connector.wait([os.urandom(16).hex()], timeout=SHORT_SECONDS), "wait for nothing"
    )
    late = time.monotonic() - begin - SHORT_SECONDS
    require(-CLOCK_SECONDS <= late <= MERCY_SECONDS, f"it ended {late:+.2f} s from its deadline")


@checks(
    CHECKS,
    "C43",
    "the answers of a batch have the order of the keys",
    fix="keep the order, None for the missing",
)
def _batch(channel: Channel) -> None:
    connector = channel.offering(SupportsBatch)
    payloads = [channel.payload() for _ in range(3)]
    keys = connector.put_batch(payloads, timeout=channel.timeout)
    asked = [keys[2], os.urandom(16).hex(), keys[0]]
    found = [None if it is None else bytes_of(it) for it in connector.get_batch(asked, timeout=channel.timeout)]
    require(found == [payloads[2].tobytes(), None, payloads[0].tobytes()], "get_batch gave something else")
    require(connector.exists_batch(asked, timeout=channel.timeout) == [True, False, True], "exists_batch is wrong")
    connector.evict_batch(keys, timeout=channel.timeout)
    require(not any(connector.exists_batch(keys, timeout=channel.timeout)), "evict_batch left something")


@checks(
    CHECKS,
    "C44",
    "an object is gone when its ttl is over",
    fix="let the channel's own clock decide, at every read",
)
def _expiry(channel: Channel) -> None:
    connector = channel.offering(SupportsExpiry)
    payload, kept = channel.payload(expires=True), channel.payload(expires=True)
    begin = time.monotonic()
    key = channel.put(payload, ttl=SHORT_SECONDS)
    found = channel.get(key) is not None
    # On a slow channel or a busy machine the time may be over by now.
    require(found or time.monotonic() - begin > SHORT_SECONDS, f"it is gone before {SHORT_SECONDS} s are over")
    begin = time.monotonic()
    kept_key = channel.put(kept, ttl=SHORT_SECONDS)
    found = connector.renew(kept_key, None, timeout=channel.timeout) is True
    require(found or time.monotonic() - begin > SHORT_SECONDS, "renew did not find the object (C45)")
    time.sleep(SHORT_SECONDS * 1.5)
    require(channel.get(key) is None, f"it is there after {SHORT_SECONDS * 1.5:.2f} s")
    require(not found or channel.get(kept_key) is not None, "it expired although it was renewed for ever (C45)")
    require(connector.renew(key, 10.0, timeout=channel.timeout) is False, "renew found an object that is gone (C45)")


@checks(CHECKS, "C18", "a ttl that it cannot keep is refused", fix="raise CapabilityError; never ignore it")
def _no_expiry(channel: Channel) -> None:
    if isinstance(channel.connector, SupportsExpiry):
        raise NotOfferedError("the connector keeps it")
    payload = channel.payload()
    require_error(CapabilityError, lambda: channel.put(payload, ttl=60.0), "ttl=60")


@checks(CHECKS, "C47", "of several claims one takes the object", fix="decide between claims in one atomic step")
def _take(channel: Channel) -> None:
    connector = channel.offering(SupportsTake)
    payload = channel.payload()
    key = channel.put(payload)
    won = connector.take(key, "first", timeout=channel.timeout)
    require(won is not None and bytes_of(won) == payload.tobytes(), "the first claim did not get the object")
    require(connector.take(key, "second", timeout=channel.timeout) is None, "the second claim got it too")
    require(connector.take(key, "first", timeout=channel.timeout) is not None, "the same claim again did not (C48)")
    require(channel.get(key) is not None, "get takes notice of claims (C50)")
    leased = channel.put(channel.payload())
    connector.take(leased, "first", lease=SHORT_SECONDS, timeout=channel.timeout)
    time.sleep(SHORT_SECONDS * 1.5)
    require(connector.take(leased, "second", timeout=channel.timeout) is not None, "the lease did not end (C49)")


@checks(CHECKS, "C51", "swap replaces only the version before", fix="compare revision and replace in one atomic step")
def _swap(channel: Channel) -> None:
    connector = channel.offering(SupportsSwap)
    first = channel.payload()
    key = channel.put(first)
    second = channel.payload(object_id=first.object_id, revision=1)
    stale = channel.payload(object_id=first.object_id, revision=1)
    connector.swap(key, second, timeout=channel.timeout)
    connector.swap(key, second, timeout=channel.timeout)  # C53: the same again is one swap
    require(channel.get(key) == second.tobytes(), "the new version is not there")
    require_error(RevisionConflictError, lambda: connector.swap(key, stale), "a swap of the version before")
    lost = channel.payload(revision=1)
    require_error(MissingKeyError, lambda: connector.swap(lost.key, lost), "a swap of no object (C53)")


@checks(
    CHECKS,
    "C54",
    "get_range returns a part of the payload",
    fix="count from the payload's first byte, cut at its end",
)
def _range(channel: Channel) -> None:
    connector = channel.offering(SupportsRange)
    payload = channel.payload()
    key, whole = channel.put(payload), payload.tobytes()
    for offset, length in ((0, 64), (10, 100), (len(whole) - 5, 100), (len(whole) + 5, 10)):
        part = connector.get_range(key, offset, length, timeout=channel.timeout)
        require(part is not None and bytes(part) == whole[offset : offset + length], f"{offset}, {length} is wrong")
    require(connector.get_range(os.urandom(16).hex(), 0, 10, timeout=channel.timeout) is None, "no object, but bytes")


@checks(CHECKS, "C55", "keys lists every object", fix="list what get would find")
def _list(channel: Channel) -> None:
    connector = channel.offering(SupportsList)
    key = channel.put(channel.payload())
    require(any(it == key for it in connector.keys(timeout=channel.timeout)), f"{key} is not among them")


@checks(
    CHECKS,
    "C57",
    "the methods of async do what the others do",
    fix="share what they do, and never block the loop",
)
def _async(channel: Channel) -> None:
    connector = channel.offering(SupportsAsync)
    payload = channel.payload()

    async def use() -> None:
        key = await connector.aput(payload, timeout=channel.timeout)
        frames = await connector.aget(key, timeout=channel.timeout)
        require(frames is not None and bytes_of(frames) == payload.tobytes(), "aget gave something else")
        require(await connector.aexists(key, timeout=channel.timeout), "aexists is wrong")
        await connector.aevict(key, timeout=channel.timeout)
        require(await connector.aget(key, timeout=channel.timeout) is None, "aevict left it")

    import asyncio

    asyncio.run(use())
