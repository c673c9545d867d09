"""What is behind the name of a local channel? A space of this process's memory, shared by all who open it."""

from __future__ import annotations

import os
import threading
import time
from operator import eq
from typing import TYPE_CHECKING

from psk.connectors.reaper import REAPER
from psk.connectors.waiting import Wake
from psk.errors import KeyExistsError, MissingKeyError, RevisionConflictError
from psk.wire import Payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.wire import Frames


class Space:
    """Hold the objects of one named local channel.

    Plain `put` and `get` are single dictionary operations, which the interpreter makes atomic; everything
    that looks before it changes does so under `lock`.
    """

    __slots__ = (
        "__weakref__",
        "claims",
        "expiries",
        "forked",
        "instances",
        "lock",
        "name",
        "objects",
        "waiting",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, Frames] = {}
        self.expiries: dict[str, float] = {}
        self.claims: dict[str, tuple[str, float]] = {}
        self.waiting: dict[str, set[Wake]] = {}
        self.lock = threading.RLock()
        self.instances = 0
        self.forked = False

    def place(self, key: str, frames: Frames, expires: float | None) -> None:
        """Make an object visible, unless it is there already."""
        if expires is None:
            if self.objects.setdefault(key, frames) is not frames:
                self._place_again(key, frames, None)
        else:
            self._place_again(key, frames, expires)
        if self.waiting:
            self._wake(key)

    def _place_again(self, key: str, frames: Frames, expires: float | None) -> None:
        with self.lock:
            self.remove_expired(key)
            if expires is not None and key not in self.objects:
                # First the expiry, then the object: nobody may see it as one that stays.
                self.expiries[key] = expires
            standing = self.objects.setdefault(key, frames)
            if standing is not frames and not _is_same(standing, frames):
                raise KeyExistsError(
                    f"another object stands under {key} in local://{self.name}",
                    remedy="objects are written once: encode the new one with a new id, or swap",
                )
        if expires is not None:
            REAPER.watch(self, expires)

    def find(self, key: str) -> Frames | None:
        """Return the object, unless it is missing or has expired."""
        frames = self.objects.get(key)
        if frames is not None and self.expiries and self.remove_expired(key):
            return None
        return frames

    def remove(self, key: str) -> bool:
        """Remove an object and what belongs to it; tell whether it was there."""
        with self.lock:
            there = self.objects.pop(key, None) is not None
            self.claims.pop(key, None)
            if self.expiries.pop(key, None) is not None and not self.expiries:
                REAPER.forget(self)
            return there

    def remove_expired(self, key: str) -> bool:
        """Remove the object if its time has come; tell whether it had."""
        expires = self.expiries.get(key)
        if expires is None or time.monotonic() < expires:
            return False
        with self.lock:
            # Looked up again: it may have been renewed while we waited for the lock.
            if self.expiries.get(key, float("inf")) > time.monotonic():
                return False
            self.remove(key)
            return True

    def reap(self) -> float | None:
        """Remove all that has expired; return when the next one does."""
        with self.lock:
            for key in list(self.expiries):
                self.remove_expired(key)
            due = min(self.expiries.values(), default=None)
        drop_if_unused(self)
        return due

    def renew(self, key: str, expires: float | None) -> bool:
        """Let an object expire at another time, or never; tell whether it is there."""
        with self.lock:
            if self.find(key) is None:
                return False
            if expires is None:
                if self.expiries.pop(key, None) is not None and not self.expiries:
                    REAPER.forget(self)
                return True
            self.expiries[key] = expires
        REAPER.watch(self, expires)
        return True

    def take(self, key: str, claim: str, until: float) -> Frames | None:
        """Return the object if this claim wins it or had won it; the claim then holds until `until`."""
        with self.lock:
            frames = self.find(key)
            if frames is None:
                return None
            held = self.claims.get(key)
            if held is not None and held[0] != claim and time.monotonic() < held[1]:
                return None
            self.claims[key] = (claim, until)
            return frames

    def swap(self, key: str, frames: Frames, expires: float | None) -> None:
        """Replace an object by its next version."""
        with self.lock:
            standing = self.find(key)
            if standing is None:
                raise MissingKeyError(
                    f"no object stands under {key} in local://{self.name}, so it cannot be swapped",
                    remedy="put it first",
                )
            if not _is_same(standing, frames):
                current, offered = Payload.parse(standing).revision, Payload.parse(frames).revision
                if offered != current + 1:
                    raise RevisionConflictError(
                        f"revision {offered} of {key} does not follow the current one",
                        found=[f"revision {current}"],
                        remedy=f"get the current version and swap revision {current + 1}",
                    )
                self.objects[key] = frames
            if expires is not None:
                self.expiries[key] = expires
        if expires is not None:
            REAPER.watch(self, expires)

    def clear(self) -> int:
        """Remove everything; return how many objects there were."""
        with self.lock:
            count = sum(self.remove(key) for key in list(self.objects))
            self.claims.clear()
        return count

    def await_any(self, keys: list[str], deadline: float, check: Callable[[], object]) -> list[str]:
        """Return those keys that have an object, after waiting for one; none when time is up.

        `check` is called at each look, and raises if its connector was closed meanwhile.
        """
        arrived = Wake()
        try:
            with self.lock:
                for key in keys:
                    self.waiting.setdefault(key, set()).add(arrived)
            while True:
                check()
                if found := [key for key in keys if self.find(key) is not None]:
                    return found
                if not arrived.wait(deadline - time.monotonic()):
                    return [key for key in keys if self.find(key) is not None]
        finally:
            with self.lock:
                for key in set(keys):
                    events = self.waiting.get(key, set())
                    events.discard(arrived)
                    if not events:
                        self.waiting.pop(key, None)

    def wake_all(self) -> None:
        """Let all who wait look again."""
        with self.lock:
            for key in list(self.waiting):
                self._wake(key)

    def _wake(self, key: str) -> None:
        with self.lock:
            for arrived in tuple(self.waiting.get(key, ())):
                arrived.set()

    def after_fork(self) -> None:
        """Turn this into a snapshot of the parent's memory: readable, with a lock that nobody holds."""
        self.lock = threading.RLock()
        self.waiting = {}
        self.forked = True


def _is_same(standing: Frames, frames: Frames) -> bool:
    # Copies of one payload are cut alike.
    one, other = standing.buffers, frames.buffers
    return len(one) == len(other) and all(map(eq, one, other))


_spaces: dict[str, Space] = {}
# Re-entrant: a connector that is garbage-collected while this thread holds it must not block.
_lock = threading.RLock()


def join_space(name: str) -> Space:
    """Return the space of this name, new if there is none, and count one more user of it."""
    with _lock:
        space = _spaces.get(name)
        if space is None:
            space = _spaces[name] = Space(name)
        space.instances += 1
        return space


def leave_space(space: Space) -> None:
    """Count one user less; an empty space that nobody uses goes."""
    with _lock:
        space.instances -= 1
    space.wake_all()  # one of them may wait by the connector that was closed
    drop_if_unused(space)


def drop_if_unused(space: Space) -> None:
    """Drop a space that is empty and open nowhere."""
    with _lock:
        if not space.instances and not space.objects and _spaces.get(space.name) is space:
            del _spaces[space.name]


def _after_fork() -> None:
    global _lock  # noqa: PLW0603  a lock that another thread held at the fork can only be replaced
    _lock = threading.RLock()
    for space in _spaces.values():
        space.after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
