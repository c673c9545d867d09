"""Where do the objects of an example wait for those who use them?"""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from psk import Store, store_registration

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED_MEMORY = Path("/dev/shm")  # noqa: S108  a directory of our own is made in it
NEEDED_BYTES = 1_000_000_000


@contextmanager
def temporary_store() -> Iterator[Store]:
    """Open a store for a `with` block; afterwards nothing of it is left, however the block ends."""
    with (
        tempfile.TemporaryDirectory(prefix="psk-example-", dir=roomy_directory()) as directory,
        Store("example", channel_uri(directory)) as store,
        store_registration(store),
    ):
        try:
            yield store
        finally:
            store.clear()


def channel_uri(directory: str) -> str:
    """Choose the channel; this is the only place that knows which one it is."""
    return f"file://{directory}"


def roomy_directory() -> Path | None:
    """Prefer a directory in memory; None stands for the usual place of temporary files."""
    if SHARED_MEMORY.is_dir() and shutil.disk_usage(SHARED_MEMORY).free >= NEEDED_BYTES:
        return SHARED_MEMORY
    return None
