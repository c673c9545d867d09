"""List the calls that a connector offers, and make the objects that tests put and read."""

from __future__ import annotations

import asyncio
from functools import partial
from pickle import PickleBuffer
from typing import TYPE_CHECKING, Any, Final

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
    key_of,
)
from psk.wire import Payload, decode, encode, new_object_id

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence

    from psk.wire import Frames


MISSING: Final = "0" * 32
"""A key without an object."""

HOSTILE_KEYS: Final = (
    "",
    "..",
    "../" + MISSING,
    "/etc/passwd",
    MISSING + "\0",
    MISSING + "\n",
    MISSING.replace("0", "A"),
    "0" * 31,
    "0" * 33,
    "0" * 4096,
    "é" * 32,
    "\uff10" * 32,
    "\ud800" * 32,
    MISSING + "@",
    MISSING + "@/etc",
    MISSING + "@" + "x" * 64,
    MISSING.encode(),
    None,
    7,
    (MISSING,),
    [MISSING],
)
"""Values that are not keys."""


def value_of(frames: Frames) -> object:
    """Read what a connector returned as a store does: parsed, verified, decoded."""
    payload = Payload.parse(frames)
    payload.verify()
    return decode(payload)


def same(one: object, other: object) -> bool:
    """Compare what may be large: where pytest prints in full, as in CI, the difference of two `==` takes minutes."""
    return one == other


def framed(parts: Sequence[bytearray], *, object_id: bytes | None = None, checksum: bool = True) -> Payload:
    """Encode byte arrays as an object with a frame for each that has at least 4 KiB, as arrays are."""
    return encode([PickleBuffer(part) for part in parts], object_id=object_id, checksum=checksum)


def parts_of(frames: Frames) -> list[memoryview]:
    """Return the parts of an object that `framed` encoded, or a memoryview, writable and without a copy."""
    value: Any = value_of(frames)
    return [memoryview(part) for part in (value if isinstance(value, list) else [value])]


def pattern(nbytes: int, start: int = 0) -> bytearray:
    """Make bytes in which no two neighbours are equal, so that a shifted or repeated part is noticed."""
    return bytearray((bytes(range(start % 251, 251)) + bytes(range(251))) * (nbytes // 251 + 1))[:nbytes]


KEYED_CALLS: Final[tuple[tuple[tuple[Any, ...], dict[str, Callable[..., object]]], ...]] = (
    (
        (),
        {
            "get": lambda connector, key, **options: connector.get(key, **options),
            "exists": lambda connector, key, **options: connector.exists(key, **options),
            "evict": lambda connector, key, **options: connector.evict(key, **options),
        },
    ),
    (
        (SupportsReserve,),
        {"fulfil": lambda connector, key, **options: connector.fulfil(key, encode("for the key"), **options)},
    ),
    (
        (SupportsWait,),
        {"wait": lambda connector, key, **options: connector.wait([key], **{"timeout": 0, **options})},
    ),
    (
        (SupportsBatch,),
        {
            "get_batch": lambda connector, key, **options: connector.get_batch([key], **options),
            "exists_batch": lambda connector, key, **options: connector.exists_batch([key], **options),
            "evict_batch": lambda connector, key, **options: connector.evict_batch([key], **options),
        },
    ),
    ((SupportsExpiry,), {"renew": lambda connector, key, **options: connector.renew(key, 1, **options)}),
    ((SupportsTake,), {"take": lambda connector, key, **options: connector.take(key, "claim", **options)}),
    (
        (SupportsSwap,),
        {"swap": lambda connector, key, **options: connector.swap(key, encode("for the key"), **options)},
    ),
    ((SupportsRange,), {"get_range": lambda connector, key, **options: connector.get_range(key, 0, 1, **options)}),
    (
        (SupportsAsync,),
        {
            "aget": lambda connector, key, **options: awaited(connector.aget(key, **options)),
            "aexists": lambda connector, key, **options: awaited(connector.aexists(key, **options)),
            "aevict": lambda connector, key, **options: awaited(connector.aevict(key, **options)),
        },
    ),
)
"""The methods that take a key: those of the contract, and of each capability."""


def has(connector: Any, power: Any) -> bool:
    """Tell whether a connector has a capability, and let type checkers forget the answer."""
    return isinstance(connector, power)


def keyed_calls(connector: Any) -> dict[str, Callable[..., object]]:
    """Return every method that takes a key, as a function of the key and of `timeout`."""
    return {
        name: partial(call, connector)
        for powers, calls in KEYED_CALLS
        for name, call in calls.items()
        if all(isinstance(connector, power) for power in powers)
    }


def all_calls(connector: Any) -> dict[str, Callable[..., object]]:
    """Return every method that needs the channel, as a function of `timeout`: about an object that is not there."""
    payload = encode("never to be there")
    # Its own payload would not be refused before anything else is looked at.
    own = {"fulfil": payload, "swap": payload}
    calls: dict[str, Callable[..., object]] = {"put": lambda **options: connector.put(payload, **options)}
    for name, call in keyed_calls(connector).items():
        if name in own:
            method = getattr(connector, name)
            calls[name] = lambda method=method, **options: method(payload.key, payload, **options)
        else:
            calls[name] = lambda call=call, **options: call(MISSING, **options)
    if isinstance(connector, SupportsReserve):
        calls["reserve"] = lambda **options: connector.reserve(new_object_id(), **options)
    if isinstance(connector, SupportsBatch):
        calls["put_batch"] = lambda **options: connector.put_batch([payload], **options)
    if isinstance(connector, SupportsAsync):
        calls["aput"] = lambda **options: awaited(connector.aput(payload, **options))
    if isinstance(connector, SupportsList):
        calls["keys"] = lambda **options: list(connector.keys(**options))
        calls["clear"] = connector.clear
    return calls


def awaited(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine in an event loop of its own."""
    return asyncio.run(coroutine)


def refusals(calls: dict[str, Callable[..., object]], error: type[Exception], *given: Any, **options: Any) -> list[str]:
    """Call each with the same arguments; list those that did not raise `error`, and what they did instead."""
    failed = []
    for name, call in calls.items():
        try:
            failed.append(f"{name} returned {call(*given, **options)!r:.80}")
        except error:
            continue
        except Exception as other:  # noqa: BLE001  part of the list
            failed.append(f"{name} raised {type(other).__name__}: {other}")
    return failed


def plain_key() -> str:
    """Make a key that nobody else has."""
    return key_of(new_object_id())
