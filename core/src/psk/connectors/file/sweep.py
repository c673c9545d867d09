"""What did the dead leave behind? Unwritten temporaries, claims without object, expired objects."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import expired
from psk.connectors.file.expiry import NEVER, has_room_for_record
from psk.connectors.file.locks import try_lock, unlock
from psk.connectors.file.mark import MARK_NAME, unmark
from psk.connectors.file.objects import (
    CLAIM_SUFFIX,
    has_expired,
    is_named,
    is_object,
    open_object,
    remove,
    remove_expired,
)
from psk.connectors.file.writing import TEMPORARY_PREFIX
from psk.errors import PskError

if TYPE_CHECKING:
    from psk.connectors.file.directory import Directory
    from psk.connectors.file.expiry import Clock

ABANDONED_NANOSECONDS: Final = 3600 * 1_000_000_000
"""How old a temporary must be where no lock proves that its writer is dead: on network file systems."""

is_object_name = re.compile(r"[0-9a-f]{32}").fullmatch
_is_claim_name = re.compile(r"[0-9a-f]{32}\.claim").fullmatch
_is_temporary_name = re.compile(r"\.tmp-[0-9a-f]{24}").fullmatch


def sweep(directory: Directory, clock: Clock) -> None:
    """Remove what has outlived its purpose; whatever cannot be removed is left to the next one who opens."""
    try:
        names = directory.names()
    except OSError:
        return
    present = set(names)
    for name in names:
        try:
            if name.startswith(TEMPORARY_PREFIX):
                _sweep_temporary(directory, name, clock)
            elif _is_claim_name(name) and name[: -len(CLAIM_SUFFIX)] not in present:
                _sweep_claim(directory, name)
        except (OSError, PskError):
            continue
    # Without this mark nothing expires here, and no object is looked at.
    if MARK_NAME in present:
        with suppress(OSError):
            unmark(directory, lambda: _anything_expires(directory, clock))


def _anything_expires(directory: Directory, clock: Clock) -> bool:
    """Tell whether any object expires later; those that have expired already are removed."""
    found = False
    for name in filter(is_object_name, directory.names()):
        try:
            size = os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False).st_size
            if has_room_for_record(size) and remove_expired(directory, name, clock) not in {None, NEVER}:
                found = True
        except (OSError, PskError):
            continue
    return found


def tidy(directory: Directory) -> None:
    """Remove the mark of a directory without objects, so that an empty one has nothing in it."""
    with suppress(OSError):  # mostly there is none; and what cannot be removed stays
        os.stat(MARK_NAME, dir_fd=directory.descriptor, follow_symlinks=False)
        unmark(directory, lambda: any(map(is_object_name, directory.names())))


def _sweep_temporary(directory: Directory, name: str, clock: Clock) -> None:
    opened = open_object(directory, name) if _is_temporary_name(name) else None
    if opened is None:
        return
    descriptor, found = opened
    try:
        ours = try_lock(descriptor)
        if ours is False or not is_named(directory, name, descriptor):
            return
        # Where locks may not hold between hosts, a free one proves nothing about a writer elsewhere.
        if (ours and directory.is_local) or clock.now(directory) - found.st_mtime_ns > ABANDONED_NANOSECONDS:
            directory.remove(name)
    finally:
        try:
            unlock(descriptor)
        finally:
            os.close(descriptor)


def _sweep_claim(directory: Directory, name: str) -> None:
    try:
        os.stat(name[: -len(CLAIM_SUFFIX)], dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        directory.remove(name)


def live_names(directory: Directory, clock: Clock, deadline: float) -> list[str]:
    """Return the names of completed, unexpired objects."""
    live = []
    for name in filter(is_object_name, directory.names()):
        expired(deadline, f"listing {directory.path!a}")
        opened = _opened_object(directory, name)
        if opened is not None:
            try:
                if not has_expired(directory, opened[0], opened[1].st_size, clock):
                    live.append(name)
                else:
                    with suppress(OSError, PskError):  # as any reader who meets it; it may lie where no mark was copied
                        remove_expired(directory, name, clock)
            finally:
                os.close(opened[0])
    return live


def clear(directory: Directory, clock: Clock, deadline: float) -> int:
    """Delete every object that psk wrote; return how many that were."""
    count = 0
    for name in filter(is_object_name, directory.names()):
        expired(deadline, f"clearing {directory.path!a}")
        opened = _opened_object(directory, name)
        if opened is not None:
            os.close(opened[0])
            count += remove(directory, name, deadline)
    sweep(directory, clock)
    return count


def _opened_object(directory: Directory, name: str) -> tuple[int, os.stat_result] | None:
    """Open a file that is one of psk's; None for everything else that may bear such a name."""
    try:
        opened = open_object(directory, name)
    except (PermissionError, PskError):
        return None
    if opened is None or is_object(opened[0]):
        return opened
    os.close(opened[0])
    return None
