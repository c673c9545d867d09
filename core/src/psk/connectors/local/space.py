"""Hold the objects of a local channel: a named space of this process's memory, shared by all who open it."""

from __future__ import annotations

import os
import threading
import time
from operator import eq
from typing import TYPE_CHECKING, Final

from psk.connectors.reaper import REAPER
from psk.connectors.waiting import Wake
from psk.errors import ChannelUnavailableError, KeyExistsError, MissingKeyError, RevisionConflictError
from psk.fork import after_fork_in_child
from psk.wire import Frames, Payload, allocate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from psk.connectors.watching import Settable
    from psk.wire import Buffer

ALIGNMENT: Final = 64

_WHOLE_BYTES: Final = 64 * 1024
"""Smaller payloads are joined: faster than a buffer for each frame."""

_MAPPED_BYTES: Final = 2 * 1024 * 1024
"""Larger buffers are mapped: with huge pages a copy is several times faster than a new bytes object."""

TOKEN: Final = f"{os.getpid()}-{os.urandom(4).hex()}"
"""Identifies this process in the URIs of its local channels; a forked child inherits it together with the objects."""


class Space:
    """Hold the objects of one named local channel.

    Plain `put` and `get` are single dictionary operations, which the interpreter makes atomic; everything
    that looks before it changes does so under `lock`.
    """

    __slots__ = ("__weakref__", "claims", "expiries", "forked", "instances", "lock", "name", "objects", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, Frames] = {}
        self.expiries: dict[str, float] = {}
        self.claims: dict[str, tuple[str, float]] = {}
        self.waiting: dict[str, set[Settable]] = {}
        self.lock = threading.RLock()
        self.instances = 0
        self.forked = False

    def place(self, key: str, frames: Frames, expires: float | None) -> None:
        """Make an object visible, unless it is there already."""
        if expires is not None or self.objects.setdefault(key, frames) is not frames:
            self._place_again(key, frames, expires)
        if self.waiting:
            self._wake(key)

    def _place_again(self, key: str, frames: Frames, expires: float | None) -> None:
        with self.lock:
            self.remove_expired(key)
            if expires is not None and key not in self.objects:
                # The expiry before the object: nobody may see it as one that never expires.
                self.expiries[key] = expires
            stored = self.objects.setdefault(key, frames)
            if stored is not frames and not _is_same(stored, frames):
                raise KeyExistsError(
                    f"local://{self.name} holds a different object under {key}",
                    remedy="objects are written once: encode the new one with a new id, or swap",
                )
        if expires is not None:
            REAPER.watch(self, expires)

    def find(self, key: str) -> Frames | None:
        """Return the object, unless it is missing or has expired."""
        # The expiry before the object: another thread may remove an expired one, and then its expiry, at any moment.
        if self.expiries:
            self.remove_expired(key)
        return self.objects.get(key)

    def present(self, keys: Sequence[str]) -> list[str]:
        """Return those keys that have an object."""
        return [key for key in keys if self.find(key) is not None]

    def remove(self, key: str) -> bool:
        """Remove an object and what belongs to it; tell whether it was there."""
        with self.lock:
            there = self.objects.pop(key, None) is not None
            self.claims.pop(key, None)
            if self.expiries.pop(key, None) is not None and not self.expiries:
                REAPER.forget(self)
            return there

    def remove_expired(self, key: str) -> None:
        """Remove the object if its time has come."""
        expires = self.expiries.get(key)
        if expires is None or time.monotonic() < expires:
            return
        with self.lock:
            # Looked up again: it may have been renewed while we waited for the lock.
            if self.expiries.get(key, float("inf")) <= time.monotonic():
                self.remove(key)

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
            stored = self.find(key)
            if stored is None:
                raise MissingKeyError(
                    f"local://{self.name} holds no object under {key} that could be swapped", remedy="put it first"
                )
            if not _is_same(stored, frames):
                current, offered = Payload.parse(stored).revision, Payload.parse(frames).revision
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
        """Remove everything; return how many unexpired objects there were."""
        with self.lock:
            count = sum(map(self.remove, self.present(list(self.objects))))
            self.claims.clear()
        return count

    def await_any(self, keys: list[str], deadline: float, check: Callable[[], object]) -> list[str]:
        """Return those keys that have an object, after waiting for one; none when time is up.

        `check` is called at each look, and raises if its connector was closed meanwhile.
        """
        arrived = Wake()
        self.tell(keys, arrived)
        try:
            while True:
                check()
                if found := self.present(keys):
                    return found
                if not arrived.wait(deadline - time.monotonic()):
                    return self.present(keys)
        finally:
            self.tell_no_more(keys, arrived)

    def tell(self, keys: Sequence[str], settable: Settable) -> None:
        """Set something whenever an object arrives under one of some keys, and when a connector is closed."""
        with self.lock:
            for key in keys:
                self.waiting.setdefault(key, set()).add(settable)

    def tell_no_more(self, keys: Sequence[str], settable: Settable) -> None:
        """End what `tell` began; from here on it is not set any more."""
        with self.lock:
            for key in keys:
                told = self.waiting.get(key, set())
                told.discard(settable)
                if not told:
                    self.waiting.pop(key, None)

    def wake_all(self) -> None:
        """Let all who wait look again."""
        with self.lock:
            for key in list(self.waiting):
                self._wake(key)

    def _wake(self, key: str) -> None:
        with self.lock:
            for settable in tuple(self.waiting.get(key, ())):
                settable.set()

    def after_fork(self) -> None:
        """Make this a snapshot of the parent's memory: readable, with a lock that nobody holds."""
        self.lock = threading.RLock()
        self.waiting = {}
        self.forked = True


def _is_same(stored: Frames, frames: Frames) -> bool:
    # Copies of one payload are cut alike.
    one, other = stored.buffers, frames.buffers
    return len(one) == len(other) and all(map(eq, one, other))


def copy_in(payload: Payload) -> Frames:
    """Return a payload's bytes as buffers that nobody can change: one, or the header block and one for each frame."""
    if payload.nbytes < _WHOLE_BYTES:
        return Frames((b"".join(payload.buffers()),))
    sizes = [0]
    end = 0
    for size in payload.frame_sizes:
        sizes += (-end % ALIGNMENT, size)
        end += sizes[-2] + size
    sizes[0] = payload.nbytes - end
    parts = list(_divide(payload.buffers(), sizes))
    return Frames(tuple(map(_frozen, parts[:1] + parts[2::2])))  # without the padding


def _divide(buffers: Sequence[Buffer], sizes: Sequence[int]) -> Iterator[list[memoryview]]:
    """Cut buffers that lie back to back into parts of some sizes; each part is a list of views."""
    remaining = iter(buffers)
    rest = memoryview(b"")
    for size in sizes:
        part: list[memoryview] = []
        while size > 0:
            rest = rest or memoryview(next(remaining))
            part.append(rest[:size])
            rest = rest[size:]
            size -= len(part[-1])  # noqa: PLW2901  what is missing of this part
        yield part


def _frozen(part: list[memoryview]) -> Buffer:
    """Copy views into one read-only buffer; a whole bytes object, which never changes, is kept instead."""
    nbytes = sum(map(len, part))
    whole = part[0].obj if len(part) == 1 else None
    if type(whole) is bytes and len(whole) == nbytes:
        return whole
    if nbytes < _MAPPED_BYTES:
        return b"".join(part)
    memory = allocate(nbytes)
    start = 0
    for view in part:
        memory[start : start + len(view)] = view
        start += len(view)
    return memory.toreadonly()


class _Spaces:
    """The spaces of this process, by name."""

    __slots__ = ("__weakref__", "by_name", "lock")

    def __init__(self) -> None:
        self.by_name: dict[str, Space] = {}
        # Re-entrant: a connector that is garbage-collected while this thread holds it must not block.
        self.lock = threading.RLock()

    def after_fork(self) -> None:
        self.lock = threading.RLock()  # another thread of the parent may have held it
        for space in self.by_name.values():
            space.after_fork()


SPACES: Final = after_fork_in_child(_Spaces(), _Spaces.after_fork)


def join_space(name: str) -> Space:
    """Return the space of this name, new if there is none, and count one more user of it."""
    with SPACES.lock:
        space = SPACES.by_name.setdefault(name, Space(name))
        space.instances += 1
        return space


def leave_space(space: Space) -> None:
    """Count one user less; an empty space without users is dropped."""
    with SPACES.lock:
        space.instances -= 1
    space.wake_all()  # one of them may wait with the connector that was closed
    drop_if_unused(space)


def drop_if_unused(space: Space) -> None:
    """Drop a space that is empty and open nowhere."""
    with SPACES.lock:
        if not space.instances and not space.objects and SPACES.by_name.get(space.name) is space:
            del SPACES.by_name[space.name]


def check_process(token: str, name: str) -> None:
    """Check that a local channel was made in this process.

    Raises:
        ChannelUnavailableError: It was not: its objects cannot be reached from here.
    """
    if token != TOKEN:
        made = token.partition("-")[0][:20]
        raise ChannelUnavailableError(
            f"local://{name} is the memory of process {made!a}; local objects never leave their process",
            found=[f"this is process {os.getpid()}"],
            remedy="use a file:// store, or another channel that both processes reach",
        )
