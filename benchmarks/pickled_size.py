"""Measure the size of a pickled proxy."""

from __future__ import annotations

import pickle
import secrets
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from proxystore.connectors.file import FileConnector as TheirFileConnector
from proxystore.store import Store as TheirStore
from rivals import memory_directory
from row import Row

from psk import Store, set_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterator

URI_LENGTH = 80
MANY = 1_000


def measure() -> Iterator[Row]:
    """Pickle proxies of arrays in a directory whose URI has 80 characters, the same one for both libraries."""
    set_signing_key("bench", secrets.token_bytes(32))
    with memory_directory() as directory:
        parent = f"{directory}/"
        path = parent + "x" * (URI_LENGTH - len("file://") - len(parent))
        Path(path).mkdir(mode=0o700)
        theirs = TheirStore("theirs", TheirFileConnector(path, clear=False))
        plain = Store("plain", f"file://{path}")
        signed = Store("signed", f"file://{path}", signing_key="bench")
        assert len(plain.uri) == URI_LENGTH
        beside = sizes(theirs)
        for kind, store, limits in (("unsigned", plain, (200, 60, 60)), ("signed", signed, (200, 100, 100))):
            for size, other, limit, what in zip(sizes(store), beside, limits, WHAT, strict=True):
                yield Row(f"{what}, {kind}", "bytes", [size], [other], limit=limit, digits=0)


WHAT = ("pickled proxy", "each of 1,000 proxies in one pickle", "... the same after a round trip")


def sizes(store: Any) -> tuple[float, float, float]:
    """Return the bytes of a pickled proxy, of each of many in one pickle, and of each of those after a round trip."""
    proxies = [store.proxy(np.zeros(10)) for _ in range(MANY)]
    together = pickle.dumps(proxies)
    again = pickle.dumps(pickle.loads(together))
    for proxy in proxies:
        assert len(proxy) == 10
    return len(pickle.dumps(proxies[0])), len(together) / MANY, len(again) / MANY
