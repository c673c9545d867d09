"""How does an object go? Its segment becomes free for the next put, or its memory goes back to the system."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

from psk.connectors.arguments import expired
from psk.connectors.file.expiry import has_room_for_record
from psk.connectors.file.objects import CLAIM_SUFFIX, open_object, remove_both
from psk.connectors.file.sweep import is_object_name
from psk.connectors.shm.expiry import SEGMENT_BYTES, is_over, locate, remove_expired
from psk.connectors.shm.locks import exclusively
from psk.errors import ChannelDataError, PskError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psk.connectors.file.directory import Directory
    from psk.connectors.shm.pool import Pool


def remove_object(directory: Directory, pool: Pool, name: str, reuse_bytes: int, deadline: float) -> bool:
    """Remove an object and then its claim; tell whether it was there.

    Of two that do so at once one finds the name, and the other does not; readers keep what they have mapped.
    """
    found = stat_object(directory, name)
    # Who removes an expired object must not meet one that was put anew in between: so not beside him.
    alone = found is not None and has_room_for_record(found.st_size)

    def remove() -> bool:
        if found is not None and stat.S_ISREG(found.st_mode) and found.st_size >= SEGMENT_BYTES:
            there = pool.release(directory, name, found, reuse_bytes) or directory.remove(name)
        else:
            there = found is not None and directory.remove(name)
        directory.remove(name + CLAIM_SUFFIX)
        return there

    return exclusively(directory, deadline, f"removing {name}", remove) if alone else remove()


def is_present(directory: Directory, name: str) -> bool:
    """Tell whether an unexpired object stands under a name; errors as of `open_object`."""
    found = stat_object(directory, name)
    if found is None:
        return False
    if stat.S_ISREG(found.st_mode) and not has_room_for_record(found.st_size):
        return True
    opened = open_object(directory, name)  # if it is something else, this says what
    if opened is None:
        return False
    try:
        return not is_over(locate(opened[0], opened[1].st_size)[1])
    finally:
        os.close(opened[0])


def present_names(directory: Directory, names: Sequence[str]) -> list[str]:
    """Return those of some names under which an unexpired object stands."""
    return [name for name in names if is_present(directory, name)]


def stat_object(directory: Directory, name: str) -> os.stat_result | None:
    """Return what stat says of an object; None if it is missing."""
    try:
        return os.stat(name, dir_fd=directory.descriptor, follow_symlinks=False)
    except FileNotFoundError:
        return None


def live_names(directory: Directory, deadline: float) -> list[str]:
    """Return the names of completed, unexpired objects."""
    live = []
    for name in filter(is_object_name, directory.names()):
        expired(deadline, f"listing {directory.path!a}")
        with suppress(ChannelDataError):
            if is_present(directory, name):
                live.append(name)
    return live


def clear(directory: Directory, pool: Pool, deadline: float) -> int:
    """Delete every object and give all memory back; return how many objects there were."""
    count = 0
    for name in directory.names():
        expired(deadline, f"clearing {directory.path!a}")
        if is_object_name(name):
            with suppress(ChannelDataError):
                is_live = is_present(directory, name)
                remove = partial(remove_both, directory, name)
                count += exclusively(directory, deadline, f"removing {name}", remove) and is_live  # as above
    sweep_space(directory, deadline)
    pool.drop(directory)
    return count


def sweep_space(directory: Directory, deadline: float) -> None:
    """Remove what has outlived its purpose: expired objects, and claims whose object is gone."""
    names = directory.names()
    present = set(names)
    for name in names:
        # Whatever cannot be removed is left to the next one who opens the space.
        with suppress(OSError, PskError):
            if name.endswith(CLAIM_SUFFIX) and name[: -len(CLAIM_SUFFIX)] not in present:
                if stat_object(directory, name[: -len(CLAIM_SUFFIX)]) is None:
                    directory.remove(name)
            elif is_object_name(name) and not is_present(directory, name):
                remove_expired(directory, name, deadline)
