"""How does a connector wait for objects that are files of a directory? Told by the kernel, or else by looking."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from psk.connectors.notices import NOTICES, Waiter
from psk.connectors.waiting import poll
from psk.errors import ConnectorClosedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from psk.connectors.notices import Place


def await_names(
    owner: object,
    names: Sequence[str],
    *,
    look: Callable[[Sequence[str]], list[str]],
    place: Callable[[], Place],
    deadline: float,
) -> list[str]:
    """Wait until at least one of several objects is there, in a directory on a local file system.

    Each appears by a link or a rename to its name. Where the kernel cannot tell (its limits are reached, or it is
    not Linux) the names are looked up again and again. One that appears and is removed at once may be missed.

    Args:
        owner: For whom: a hashable object that can be weakly referenced. One inotify instance stays open as long
            as it lives, or until `NOTICES.forget` is given it because it was closed.
        names: The names of the files.
        look: Returns those of some names under which an object stands, in their order; may raise.
        place: Returns the directory, open; called again whenever it may have been replaced.
        deadline: When to look for the last time, by `time.monotonic`.

    Returns:
        The names of objects that are there; empty if there were none in time.
    """
    try:
        found = look(names)
        while not found and time.monotonic() < deadline:
            waiter = Waiter(owner, place(), names)
            try:
                try:
                    NOTICES.join(waiter)
                except OSError:
                    return poll(lambda: look(names), deadline)
                # First watched, then looked: nothing can appear in between.
                found = look(names) or look(NOTICES.wait(waiter, deadline))
            finally:
                try:
                    NOTICES.leave(waiter)
                except BaseException:  # an interrupt, but others may wait for this one to read on
                    NOTICES.leave(waiter)
                    raise
        # One object woke us; others may be there too.
        return look(names) or found if found and len(names) > 1 else found
    except ConnectorClosedError:
        NOTICES.forget(owner)  # once more: the first time may have been before it joined
        raise
