"""Measure whether threads that resolve different objects wait for each other."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from proxystore.connectors.local import LocalConnector as TheirLocalConnector
from proxystore.store import Store as TheirStore
from row import Row
from timing import take_turns

from psk import LocalConnector, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

REPETITIONS = 5
THREADS = 8
LATENCY = 0.1


class SlowConnector(LocalConnector):
    """A channel whose every `get` takes 100 ms."""

    def get(self, key: Any, **options: Any) -> Any:
        """Return what the channel holds, after a while."""
        time.sleep(LATENCY)
        return super().get(key, **options)


class TheirSlowConnector(TheirLocalConnector):
    """The same for ProxyStore."""

    def get(self, key: Any) -> Any:
        """Return what the channel holds, after a while."""
        time.sleep(LATENCY)
        return super().get(key)


def measure() -> Iterator[Row]:
    """Resolve eight proxies in eight threads; one after the other would take 0.8 s."""
    theirs = TheirStore("theirs", TheirSlowConnector({}), register=True)
    with Store("ours", SlowConnector()) as ours, ThreadPoolExecutor(THREADS) as pool:
        samples = take_turns(
            {"psk": partial(resolve_all, ours, pool), "proxystore": partial(resolve_all, theirs, pool)}, REPETITIONS
        )
        ours.clear()
    theirs.close()
    what = "8 threads resolve 8 objects of 100 ms each"
    yield Row(what, "s", samples["psk"]["all"], samples["proxystore"]["all"], limit=0.15, digits=3)


def resolve_all(store: Any, pool: ThreadPoolExecutor) -> dict[str, float]:
    proxies = [store.proxy([number], populate_target=False) for number in range(THREADS)]
    start = time.perf_counter()
    values = list(pool.map(lambda proxy: proxy[0], proxies))
    seconds = time.perf_counter() - start
    assert values == list(range(THREADS))
    return {"all": seconds}
