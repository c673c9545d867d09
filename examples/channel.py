"""Temporary stores for the examples, and the shared memory that they use."""

from __future__ import annotations

import shutil
import sys
import tempfile
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psk import Store, store_registration

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  where the kernel keeps it; nothing is written here by us
NEEDED_BYTES = 1_000_000_000


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Open a store for a `with` block, and remove everything that it stored afterwards."""
    with ExitStack() as stack:
        uri = "shm://"
        if not has_shared_memory():
            uri = f"file://{stack.enter_context(tempfile.TemporaryDirectory(prefix='psk-example-'))}"
        store = stack.enter_context(Store("example", uri))
        stack.callback(store.clear)
        stack.enter_context(store_registration(store))
        yield store


def has_shared_memory() -> bool:
    """Return whether this system has enough shared memory for the examples; containers often have 64 MB."""
    return sys.platform == "linux" and shutil.disk_usage(SHARED_MEMORY).free >= NEEDED_BYTES


def shared_memory_in_use() -> int:
    """Return the bytes of shared memory in use on this host, by any process."""
    return shutil.disk_usage(SHARED_MEMORY).used if SHARED_MEMORY.is_dir() else 0
