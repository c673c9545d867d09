"""Cache the most recently used objects of a store, within bounds.

There is no lock, since a finaliser or a signal handler may call `get` at any instruction and would find it held.
Changes that belong together are written without a call between them: CPython switches threads and handles signals only
after calls, at the start of functions and at backward jumps. An entry that leaves is referenced until the counters
are updated, since finalisers run as it is released.
"""

from __future__ import annotations

import mmap
import os
from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.wire import Frames, Payload, allocate

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Immutable objects are cached themselves, so that a hit costs no decoding.
IMMUTABLE = frozenset({bytes, str, int, float, complex})
#: Keys without an entry that are remembered: those of large payloads that were fetched once, to be kept when they are
#: fetched again, and dropped ones, so that a fetch in progress does not bring its object back.
MOST_REMEMBERED = 1024
#: Below this size a copy is cheaper than mapping memory.
COPY_BELOW = 64 * 1024


class Snapshot:
    """A payload kept as it arrived, from which many objects can be decoded that share no memory.

    Read-only buffers are kept as they are, since decoding copies what must be writable. Small writable buffers are
    copied. Large ones move to an anonymous file, which each use maps copy-on-write, so that only the pages that a user
    changes take memory.
    """

    __slots__ = ("_descriptor", "_payload", "nbytes")

    def __init__(self, payload: Payload) -> None:
        self.nbytes = payload.nbytes
        self._descriptor = -1
        self._payload: Payload | None = None
        buffers = [memoryview(buffer) for buffer in payload.buffers()]
        if all(buffer.readonly for buffer in buffers):
            self._payload = Payload.parse(payload.received)
        elif self.nbytes < COPY_BELOW or not self._move(buffers):
            self._payload = Payload.parse(b"".join(buffers))

    def _move(self, buffers: Sequence[memoryview]) -> bool:
        """Write the payload to an anonymous file; False if the system has none, or no descriptor is left."""
        if not hasattr(os, "memfd_create"):
            return False
        try:
            self._descriptor = os.memfd_create("psk")
            with open(self._descriptor, "wb", closefd=False) as file:
                file.writelines(buffers)
        except OSError:
            return False
        return True

    def payload(self) -> Payload:
        """Return the payload over memory that nobody else writes to."""
        if self._payload is not None:
            return self._payload
        try:
            # The mapping has a descriptor of its own, so the pages outlive this object.
            private = mmap.mmap(self._descriptor, self.nbytes, flags=mmap.MAP_PRIVATE)
        except OSError:  # out of descriptors or mappings: use memory instead
            return Payload.parse(Frames([self._copy()]))
        return Payload.parse(Frames([memoryview(private)]))

    def _copy(self) -> memoryview:
        memory = allocate(self.nbytes)
        done = 0
        while done < self.nbytes:  # one call moves 2 GiB at most
            done += os.preadv(self._descriptor, [memory[done:]], done)
        return memory

    def __del__(self) -> None:
        if getattr(self, "_descriptor", -1) >= 0:  # __init__ may have failed
            os.close(self._descriptor)


class Cache:
    """Keep the most recently used objects, bounded by count and by bytes.

    An entry is a decoded object (immutable, or shared because the user asked for it) or a snapshot of a payload, from
    which each hit decodes its own object. A large payload enters at its second fetch: most objects are resolved once
    per process, and those should not pay for a copy.

    Args:
        size: Entries kept at most; 0 keeps none.
        nbytes: Bytes of all entries together at most; a larger object is never kept.
        payloads: Keep payloads, not only decoded objects.

    Attributes:
        entries: What it holds by key; only to be asked for their number, or whether it has one.
        hits: How many lookups found their key.
        misses: How many did not.
        nbytes: Bytes of all entries together.
    """

    def __init__(self, size: int, nbytes: int, *, payloads: bool = True) -> None:
        self._size = size
        self._nbytes = nbytes
        self._payloads = payloads
        self.entries: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        #: Of each key that is remembered, whether it was dropped.
        self._dropped: OrderedDict[str, bool] = OrderedDict()
        self.nbytes = self.hits = self.misses = 0

    def get(self, key: str) -> Any:
        """Return the entry of a key, or None; the entry becomes the most recently used one."""
        entry = self.entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        try:  # noqa: SIM105  suppress() would cost as much as all the rest
            self.entries.move_to_end(key)
        except KeyError:  # removed meanwhile
            pass
        return entry[0]

    def keep_payload(self, key: str, payload: Payload) -> Snapshot | None:
        """Keep a fetched payload if that is worthwhile, and return the entry to decode from."""
        if not self._payloads or not self._takes(payload) or payload.codec in {"bytes", "str"}:
            return None
        if payload.nbytes >= COPY_BELOW and self._dropped.get(key) is not False:
            self._dropped.setdefault(key, False)
            if len(self._dropped) > MOST_REMEMBERED:
                self._dropped.popitem(last=False)
            return None
        snapshot = Snapshot(payload)
        self._add(key, snapshot, payload.nbytes)
        return snapshot

    def keep_object(self, key: str, target: Any, payload: Payload) -> None:
        """Keep a decoded object that can be shared: one of `IMMUTABLE`, or any if the user asked for it."""
        if self._takes(payload):
            self._add(key, target, payload.nbytes)

    def drop(self, key: str) -> None:
        """Forget a key, and do not keep an object of it that a thread is fetching at this moment."""
        if not self._size:
            return
        # Note the key first, then remove it: a thread that adds it meanwhile does so before, or sees the note.
        self._dropped[key] = True
        if len(self._dropped) > MOST_REMEMBERED:
            self._dropped.popitem(last=False)
        self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        for key in list(self.entries):
            self._remove(key)

    def _takes(self, payload: Payload) -> bool:
        # An object that may expire is never kept: nobody may see it after its expiry.
        return bool(self._size) and payload.nbytes <= self._nbytes and not payload.expires

    def _add(self, key: str, value: Any, nbytes: int) -> None:
        self._remove(key)
        entry = value, nbytes
        entries = self.entries
        if key not in entries:  # otherwise another thread has added it
            entries[key] = entry
            self.nbytes += nbytes
        if self._dropped.get(key):
            self._remove(key)
        while entries and (len(entries) > self._size or self.nbytes > self._nbytes):
            with suppress(RuntimeError):  # another thread changed them at this instant
                self._remove(next(iter(entries), key))

    def _remove(self, key: str) -> None:
        entries = self.entries
        if key in entries:
            entry = entries[key]
            del entries[key]
            self.nbytes -= entry[1]
            del entry
