"""Where can a connector be tried without touching anybody's objects, and without leaving anything?"""

from __future__ import annotations

import os
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def scratch_uri(scheme: str) -> Iterator[str]:
    """Give a URI that nobody else uses, and remove what was made for it.

    A connector that is not of psk-core gets the path of a new directory's entry, which suits those that keep files.
    """
    from tempfile import TemporaryDirectory

    name = f"psk-check-{os.urandom(6).hex()}"
    with TemporaryDirectory(prefix="psk-check-") as directory:
        if scheme in {"local", "shm"}:
            yield f"{scheme}://{name}"
        elif scheme == "multi":
            yield _composed(f"local://{name}", f"file://{directory}/objects")
        else:
            yield f"{scheme}://{directory}/objects"


def _composed(*uris: str) -> str:
    from psk.connectors import format_uri
    from psk.connectors.multi import MultiConnector

    channels = MultiConnector({f"channel-{number}": uri for number, uri in enumerate(uris)})
    try:
        return format_uri(channels.config())
    finally:
        channels.close()
