"""What happens when the name is taken already? The same object put again is one put; another is an error."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING

from psk.connectors.arguments import expired
from psk.connectors.comparison import HEADER_BYTES, is_same_payload
from psk.connectors.file.directory import sync
from psk.connectors.file.mark import mark_expiring
from psk.connectors.file.objects import has_expired, open_object, remove_expired
from psk.connectors.file.writing import place
from psk.errors import ChannelDataError, KeyExistsError
from psk.wire import MAGIC

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock
    from psk.wire import Buffer, Payload


def put_object(
    directory: Directory,
    payload: Payload,
    ttl: float | None,
    clock: Clock,
    deadline: float,
    *,
    durable: bool,
) -> str:
    """Write a payload under its key, unless it is there already; return the key.

    Raises:
        KeyExistsError: Another object is there.
        ChannelDataError: Something that psk did not write is there.
    """
    name = payload.key
    buffers = payload.buffers()
    nbytes = payload.nbytes
    if ttl is not None:
        mark_expiring(directory)
    while not place(directory, name, buffers, nbytes, ttl=ttl, clock=clock, durable=durable, deadline=deadline):
        if _is_the_same(directory, name, buffers, clock, durable=durable):
            break
        expired(deadline, f"putting {name}")
    if ttl is not None:
        mark_expiring(directory)  # again: it may have been taken away just before the object was there
    return name


def _is_the_same(directory: Directory, name: str, buffers: Sequence[Buffer], clock: Clock, *, durable: bool) -> bool:
    opened = open_object(directory, name)
    if opened is None:
        return False  # evicted meanwhile: the name is free again
    descriptor, found = opened
    try:
        if has_expired(directory, descriptor, found.st_size, clock):
            remove_expired(directory, name, clock)
            return False
        if is_same_payload(buffers, partial(os.pread, descriptor)):
            if durable:  # whoever put it may not have waited for the disk
                sync(descriptor)
                directory.sync()
            return True
        standing = os.pread(descriptor, HEADER_BYTES, 0)
    finally:
        os.close(descriptor)
    raise refusal(directory, name, standing, found.st_size)


def refusal(directory: Directory, name: str, standing: bytes, size: int) -> ChannelDataError | KeyExistsError:
    """Build the error for a name under which something else stands, given how it begins and its size."""
    if not standing.startswith(MAGIC):
        return ChannelDataError(
            f"what stands under {name} in {directory.path!a} is no object of psk",
            found=[f"{size} bytes that begin with {standing[:4]!r}"],
            remedy="remove it, and see who else may write there",
        )
    return KeyExistsError(
        f"another object stands under {name} in {directory.path!a}",
        remedy="objects are written once: encode the new one with a new id",
    )
