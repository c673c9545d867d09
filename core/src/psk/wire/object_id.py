"""How does an object get a name that no other object ever has?"""

from __future__ import annotations

import os

OBJECT_ID_SIZE = 16
_BATCH = 256

_unused: list[bytes] = []
_take = _unused.pop
# Counts forks, so that a refill that a fork interrupted is noticed on the child's side.
_generation = [0]


def new_object_id() -> bytes:
    """Return 16 random bytes that were never returned before, here or in any other process.

    They come from the kernel's generator, many at a time; a forked child never uses its parent's rest.

    Returns:
        An object id, 16 bytes.
    """
    try:
        return _take()  # one atomic step: no two threads get the same
    except IndexError:
        return _refill()


def _refill() -> bytes:
    while True:
        generation = _generation[0]
        random = os.urandom(OBJECT_ID_SIZE * _BATCH)
        fresh = [random[start : start + OBJECT_ID_SIZE] for start in range(0, len(random), OBJECT_ID_SIZE)]
        mine = fresh.pop()
        _unused.extend(fresh)
        if generation == _generation[0]:
            return mine
        _unused.clear()


def _forget() -> None:
    _generation[0] += 1
    _unused.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
