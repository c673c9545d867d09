"""Which sessions did the dead leave behind? Those of this user whose lock nobody holds."""

from __future__ import annotations

import os
from contextlib import suppress

from psk.connectors.shm.liveness import remove_if_dead
from psk.connectors.shm.options import ROOT
from psk.errors import PskError


def sweep(root: str = ROOT) -> int:
    """Remove the sessions of this user whose processes are dead; live ones are not touched.

    Opening any shm store does the same, and a guest hears of its owner's end at once. This is for what a power
    cut or a killed program left where no psk runs any more.

    Args:
        root: Where sessions are.

    Returns:
        How many sessions were removed.
    """
    prefix = f"psk-{os.geteuid()}-"
    count = 0
    try:
        names = os.listdir(root)  # noqa: PTH208  pathlib costs 10 ms of import
    except OSError:
        return 0
    for name in names:
        if name.startswith(prefix):
            # What is no session, or not ours alone, is not ours to remove.
            with suppress(OSError, PskError):
                count += remove_if_dead(f"{root}/{name}") or 0
    return count
