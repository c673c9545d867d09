"""Time operations on a resolved proxy, and what making and resolving one costs."""

from __future__ import annotations

from functools import partial
from timeit import Timer
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
from proxystore.proxy import Proxy as TheirProxy
from row import Row
from timing import take_turns

from psk import Proxy

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 40
TIMES = 20_000
NUMBERS = [1, 2, 3]
#: Operation, the target `p` stands for, and the part of ProxyStore's time that psk is to need at most.
OPERATIONS: list[tuple[str, Any, float | None]] = [
    ("len(p)", NUMBERS, 0.55),
    ("p[0]", NUMBERS, 0.55),
    ("p == x", NUMBERS, 0.55),
    ("p.attr", SimpleNamespace(attr=1), 0.25),
    ("p + 1", 1, None),
    ("1 + p", 1, None),
    ("p + x", NUMBERS, None),
    ("p()", int, None),
    ("p.size", np.zeros(3), None),
    ("for _ in p: pass", NUMBERS, None),
    ("isinstance(p, list)", NUMBERS, None),
]
#: Nanoseconds that psk is to need at most.
LIMITS = {"p + 1": 80.0}
#: The same for programs that begin with a factory.
BEGINNINGS: dict[str, str] = {
    "Proxy(factory)": "Proxy(factory)",
    "create, resolve, use once": "p = Proxy(factory); p[0]",
    "create, resolve, use four times": "p = Proxy(factory); p[0]; p[0]; p[0]; p[0]",
}


def measure() -> Iterator[Row]:
    """Time operations in a loop of bytecode, as code that uses proxies meets them."""
    for operation, target, ratio in OPERATIONS:
        yield compare(f"resolved proxy: {operation}", operation, target, ratio)
    for label, program in BEGINNINGS.items():
        yield compare(f"proxy: {label}", program, NUMBERS, None)


def compare(label: str, operation: str, target: Any, ratio: float | None) -> Row:
    samples = take_turns(
        {
            name: partial(repeat, operation, kind, partial(identity, target), target)
            for name, kind in (("psk", Proxy), ("proxystore", TheirProxy))
        },
        REPETITIONS,
    )
    ours, theirs = samples["psk"]["operation"], samples["proxystore"]["operation"]
    return Row(label, "ns", ours, theirs, ratio=ratio, limit=LIMITS.get(operation), digits=0)


def repeat(operation: str, kind: Any, factory: Any, target: Any) -> dict[str, float]:
    proxy = kind(factory)
    for _ in range(2):  # as in programs: from the second use on it has its fast form
        str(proxy)
    known = {"Proxy": kind, "factory": factory, "p": proxy, "x": target}
    return {"operation": Timer(operation, globals=known).timeit(TIMES) / TIMES}


def identity(target: Any) -> Any:
    return target
