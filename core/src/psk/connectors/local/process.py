"""Which process is this, and the children it forks? A random token tells it from every other."""

from __future__ import annotations

import os
from typing import Final

from psk.errors import ChannelUnavailableError

TOKEN: Final = f"{os.getpid()}-{os.urandom(4).hex()}"
"""Travels in the URIs of local channels; a forked child inherits it together with the objects."""


def check_process(token: str, name: str) -> None:
    """Make sure that a local channel was made in this process.

    Raises:
        ChannelUnavailableError: It was not: its objects are out of reach from here.
    """
    if token != TOKEN:
        made = token.partition("-")[0][:20]
        raise ChannelUnavailableError(
            f"local://{name} is the memory of process {made!a}; local objects never leave their process",
            found=[f"this is process {os.getpid()}"],
            remedy="use a file:// store, or another channel that both processes reach",
        )
