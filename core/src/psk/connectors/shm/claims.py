"""Who won an object in shared memory? As in the file connector, but decided under the lock of the space."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from psk.connectors.file.claims import decide
from psk.connectors.shm.expiry import BOOT_CLOCK, is_over, locate
from psk.connectors.shm.locks import exclusively
from psk.connectors.shm.reading import open_shared, read_opened

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory
    from psk.wire import Frames


def take_object(directory: Directory, name: str, claim: str, lease: float | None, deadline: float) -> Frames | None:
    """Claim an object and read it; None if it is missing, or another holds it."""
    opened = open_shared(directory, name, deadline)
    if opened is None:
        return None
    descriptor = opened[0]

    def won_bytes() -> int | None:
        size, expires = locate(descriptor, os.fstat(descriptor).st_size)
        if is_over(expires):
            return None
        won = decide(directory, name, descriptor, claim.encode(), lease=lease, clock=BOOT_CLOCK, deadline=deadline)
        return size if won else None

    try:
        size = exclusively(directory, deadline, f"claiming {name}", won_bytes, nests=False)
        return None if size is None else read_opened(descriptor, size, name, deadline)
    finally:
        os.close(descriptor)
