"""The stores of psk and of ProxyStore that are compared."""

from __future__ import annotations

import tempfile
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from proxystore.connectors.file import FileConnector as TheirFileConnector
from proxystore.connectors.local import LocalConnector as TheirLocalConnector
from proxystore.store import Store as TheirStore

from psk import LocalConnector, Store

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it


class Pair(NamedTuple):
    """Two stores of one channel: what one puts, the other has never seen, so that no cache can help its `get`."""

    writer: Any
    reader: Any


@contextmanager
def memory_directory() -> Iterator[str]:
    """Make a temporary directory, on tmpfs where there is one."""
    place = SHARED_MEMORY if SHARED_MEMORY.is_dir() else None
    with tempfile.TemporaryDirectory(prefix="psk-bench-", dir=place) as directory:
        yield directory


@contextmanager
def file_pairs() -> Iterator[dict[str, Pair]]:
    """Open both libraries' file stores on directories of their own in memory, with default options."""
    with memory_directory() as ours, memory_directory() as theirs:
        yield {
            "psk": Pair(*(Store(f"ours-{role}", f"file://{ours}") for role in Pair._fields)),
            # Otherwise one of their two connectors would delete what the other uses.
            "proxystore": Pair(
                *(TheirStore(f"theirs-{role}", TheirFileConnector(theirs, clear=False)) for role in Pair._fields)
            ),
        }


@contextmanager
def memory_pairs() -> Iterator[dict[str, Pair]]:
    """Open two stores of each library on this host's shared memory."""
    with memory_stores() as stores:
        yield {name: Pair(store, opened_again(type(store), store.config())) for name, store in stores.items()}


@contextmanager
def memory_stores() -> Iterator[dict[str, Any]]:
    """Open one store of each library whose objects the other processes of this host find in memory.

    ProxyStore has no connector for that, but its file connector can be pointed to memory. It caches arrays of 100 MB
    themselves; one, not 16, so that its readers use memory again instead of asking the system for more each time.
    """
    with Store("ours", "shm://") as ours, memory_directory() as directory:
        yield {
            "psk": ours,
            "proxystore": TheirStore("theirs", TheirFileConnector(directory, clear=False), cache_size=1),
        }


def opened_again(kind: Any, config: Any) -> Any:
    """Open a store as another one was, in this process or in another."""
    return kind.from_config(config)


def workers(count: int) -> ProcessPoolExecutor:
    """Make a pool of processes that have inherited nothing; the first turn, which does not count, starts them."""
    return ProcessPoolExecutor(count, mp_context=get_context("spawn"))


@contextmanager
def local_pairs() -> Iterator[dict[str, Pair]]:
    """Open both libraries' stores within this process, with default options."""
    space: dict[Any, Any] = {}
    with Store("ours-writer", LocalConnector("bench")) as writer, Store("ours-reader", "local://bench") as reader:
        yield {
            "psk": Pair(writer, reader),
            "proxystore": Pair(*(TheirStore(f"theirs-{role}", TheirLocalConnector(space)) for role in Pair._fields)),
        }
        writer.clear()
