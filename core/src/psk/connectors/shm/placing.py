"""How does an object get its memory and its name? A segment is found or made, filled, and only then named."""

from __future__ import annotations

import errno
import os
from functools import partial
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import expired
from psk.connectors.comparison import HEADER_BYTES, is_same_payload
from psk.connectors.file.placing import refusal
from psk.connectors.file.writing import place
from psk.connectors.shm.expiry import BOOT_CLOCK, is_over, locate, needs_segment, remove_expired
from psk.connectors.shm.limits import check_limit
from psk.connectors.shm.reading import open_shared

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.directory import Directory
    from psk.connectors.shm.limits import Limits
    from psk.connectors.shm.pool import Pool
    from psk.connectors.shm.segment import Segment
    from psk.wire import Buffer, Payload

_FULL: Final = frozenset({errno.ENOSPC, errno.EDQUOT})


def put_object(
    directory: Directory, pool: Pool, payload: Payload, ttl: float | None, *, limits: Limits, deadline: float
) -> str:
    """Place a payload under its key, unless it is there already; return the key.

    Raises:
        KeyExistsError: Another object is there.
        ShmFullError: The limit of the space would be exceeded.
        OSError: The file system is full, among others.
    """
    name = payload.key
    is_large = needs_segment(payload.nbytes)
    while True:
        # A large object put again is not copied once more: there might be no room for it.
        if not (is_large and _is_there(directory, name)):
            place_it = _place_segment if is_large else _place_small
            if place_it(directory, pool, payload, ttl, limits=limits, deadline=deadline):
                break
        if _is_the_same(directory, name, payload.buffers(), deadline):
            break
        expired(deadline, f"putting {name}")
    return name


def _place_small(
    directory: Directory, pool: Pool, payload: Payload, ttl: float | None, *, limits: Limits, deadline: float
) -> bool:
    nbytes = payload.nbytes
    check_limit(directory, pool, nbytes, limits)
    key, buffers = payload.key, payload.buffers()
    try:
        return place(directory, key, buffers, nbytes, ttl=ttl, clock=BOOT_CLOCK, durable=False, deadline=deadline)
    except OSError as error:
        if error.errno not in _FULL:
            raise
    pool.drop(directory)
    return place(directory, key, buffers, nbytes, ttl=ttl, clock=BOOT_CLOCK, durable=False, deadline=deadline)


def _place_segment(
    directory: Directory, pool: Pool, payload: Payload, ttl: float | None, *, limits: Limits, deadline: float
) -> bool:
    nbytes = payload.nbytes
    segment = pool.take(directory, nbytes) or _created(directory, pool, nbytes, limits)
    try:
        segment.fill(payload.buffers(), nbytes, deadline)
        try:
            return segment.place(directory, payload.key, ttl)
        except OSError as error:
            if error.errno not in _FULL:
                raise
        pool.drop(directory)  # the record of its expiry needs one more page
        return segment.place(directory, payload.key, ttl)
    except FileNotFoundError:
        # Its free name was removed by somebody who emptied the pool: without a name it cannot be placed.
        if segment.name is None or not directory.is_there():
            raise
        return False
    finally:
        try:
            pool.keep(segment, limits.reuse_bytes)
        except BaseException:
            if pool.is_busy(segment):  # an interrupt, but nobody could read the object while it is locked
                pool.keep(segment, limits.reuse_bytes)
            raise


def _created(directory: Directory, pool: Pool, nbytes: int, limits: Limits) -> Segment:
    check_limit(directory, pool, nbytes, limits)
    try:
        return pool.create(directory, nbytes)
    except OSError as error:
        if error.errno not in _FULL:
            raise
    # What is kept for later puts must never be the reason that this one fails.
    pool.drop(directory)
    return pool.create(directory, nbytes)


def _is_the_same(directory: Directory, name: str, buffers: Sequence[Buffer], deadline: float) -> bool:
    opened = open_shared(directory, name, deadline)
    if opened is None:
        return False  # evicted meanwhile: the name is free again
    descriptor, found = opened
    try:
        if is_over(locate(descriptor, found.st_size)[1]):
            remove_expired(directory, name, deadline)
            return False
        if is_same_payload(buffers, partial(os.pread, descriptor)):
            return True
        standing = os.pread(descriptor, HEADER_BYTES, 0)
    finally:
        os.close(descriptor)
    raise refusal(directory, name, standing, found.st_size)


def _is_there(directory: Directory, name: str) -> bool:
    try:
        os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True
