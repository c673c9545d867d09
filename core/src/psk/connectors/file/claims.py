"""Who won an object? A claim file beside it says so, placed under the object's lock."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from psk.connectors.file.expiry import NEVER, find_record, parse_record, record_offset, write_record
from psk.connectors.file.locks import locked
from psk.connectors.file.objects import CLAIM_SUFFIX, is_named, open_object, open_to_renew
from psk.connectors.file.reading import read_frames
from psk.connectors.file.writing import place
from psk.errors import CapabilityError

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock
    from psk.wire import Frames


def take_object(
    directory: Directory, name: str, claim: str, lease: float | None, *, clock: Clock, deadline: float
) -> Frames | None:
    """Claim an object and read it.

    Args:
        directory: Where.
        name: The object.
        claim: Who asks.
        lease: Seconds until the claim ends; None for never.
        clock: The file server's clock.
        deadline: When to give up, by `time.monotonic`.

    Returns:
        The object for the winner; None if it is missing, or another holds it.

    Raises:
        CapabilityError: The file system may not keep locks between hosts.
    """
    if not directory.is_local:
        kind = directory.filesystem or "its file system"
        raise CapabilityError(
            f"{directory.path!a} cannot decide between claimants: locks on {kind} may not hold between hosts",
            remedy="take from a directory on a local file system, or from another channel",
        )
    opened = open_object(directory, name)
    if opened is None:
        return None
    descriptor = opened[0]

    def won_bytes() -> int | None:
        size, expires = find_record(descriptor, os.fstat(descriptor).st_size, clock.kind)
        if expires != NEVER and clock.now(directory) >= expires:
            return None
        won = decide(directory, name, descriptor, claim.encode(), lease=lease, clock=clock, deadline=deadline)
        return size if won else None

    try:
        size = locked(descriptor, deadline, f"claiming {name}", won_bytes, nests=False)
        return None if size is None else read_frames(descriptor, size, name, deadline)
    finally:
        os.close(descriptor)


def decide(
    directory: Directory,
    name: str,
    descriptor: int,
    claim: bytes,
    *,
    lease: float | None,
    clock: Clock,
    deadline: float,
) -> bool:
    """Tell whether a claim wins an open, unexpired object, and write it down; called by one claimant at a time."""
    if not is_named(directory, name, descriptor):
        return False
    holder = _holder(directory, name, clock)
    if holder is not None and holder != claim:
        return False
    if holder is None or not _begin_anew(directory, name, claim, lease, clock):
        directory.remove(name + CLAIM_SUFFIX)
        place(
            directory,
            name + CLAIM_SUFFIX,
            [claim],
            len(claim),
            ttl=lease,
            clock=clock,
            durable=False,
            deadline=deadline,
        )
    if is_named(directory, name, descriptor):
        return True
    directory.remove(name + CLAIM_SUFFIX)  # evicted in between
    return False


def _begin_anew(directory: Directory, name: str, claim: bytes, lease: float | None, clock: Clock) -> bool:
    """Let the lease of a claim begin anew in its own file: a claim that is held is never removed to be placed again."""
    opened = open_to_renew(directory, name + CLAIM_SUFFIX)
    if opened is None:
        return False
    try:
        expires = NEVER if lease is None else clock.after(directory, lease)
        write_record(opened[0], record_offset(len(claim)), clock.kind, expires)
    finally:
        os.close(opened[0])
    return True


def _holder(directory: Directory, name: str, clock: Clock) -> bytes | None:
    opened = open_object(directory, name + CLAIM_SUFFIX)
    if opened is None:
        return None
    try:
        content = os.read(opened[0], 4096)
    finally:
        os.close(opened[0])
    claim, kind, rest = content.partition(clock.kind)
    expires = parse_record(kind + rest, clock.kind)
    if expires is not None and clock.now(directory) >= expires:
        return None
    return claim.rstrip(b"\0")
