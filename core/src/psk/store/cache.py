"""The objects that a store keeps at hand, and within which bounds.

There is no lock here that a finaliser or a signal handler, which may come in anywhere and get, could find held. What
must stay together is written without a call: CPython changes threads and looks for interrupts after calls, at the start
of functions and when it jumps back, and nowhere else. And what leaves is held until the books are right, since with it
go objects whose finalisers may do anything.
"""

from __future__ import annotations

from collections import OrderedDict
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from psk.store.pristine import COPY_BELOW, Pristine

if TYPE_CHECKING:
    from psk.wire import Payload

#: Objects that nobody can change are kept themselves, so a hit costs no decoding.
IMMUTABLE = frozenset({bytes, str, int, float, complex})
REMEMBERED_PER_ENTRY = 4
#: Evicted keys remembered, so that a fetch which was under way meanwhile does not bring its object back.
REMEMBERED_DROPS = 1024


class Cache:
    """Keep the most recently used objects, bounded by count and by bytes.

    An entry is a finished object (immutable, or shared on the user's word) or a pristine payload, over which each
    hit decodes anew. A large payload enters at its second fetch: most objects are resolved once per process, and
    those should not pay for a copy. Hits and misses are counted here, where counting is free.

    Args:
        size: Entries kept at most; 0 keeps none.
        nbytes: Bytes of all entries together at most; a larger object is never kept.
        payloads: Keep payloads too, not only finished objects.
        objects: Keep every decoded object itself, so that all users of a key share one.
    """

    __slots__ = (
        "_dropped",
        "_entries",
        "_nbytes",
        "_objects",
        "_payloads",
        "_seen",
        "_size",
        "hits",
        "misses",
        "nbytes",
    )

    def __init__(self, size: int, nbytes: int, *, payloads: bool = True, objects: bool = False) -> None:
        self._size = size
        self._nbytes = nbytes
        self._payloads = payloads and not objects
        self._objects = objects
        self._entries: OrderedDict[str, tuple[Any, int]] = OrderedDict()
        self._seen: OrderedDict[str, bool] = OrderedDict()
        self._dropped: OrderedDict[str, None] = OrderedDict()
        self.nbytes = self.hits = self.misses = 0

    def __len__(self) -> int:
        return len(self._entries)

    def __contains__(self, key: object) -> bool:
        return key in self._entries

    def get(self, key: str) -> Any:
        """Give the entry of a key, or None; the entry becomes the most recently used one."""
        if not self._size:
            return None
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            return None
        self.hits += 1
        try:  # noqa: SIM105  suppress() would cost as much as all the rest
            self._entries.move_to_end(key)
        except KeyError:  # it has left meanwhile
            pass
        return entry[0]

    def keep_payload(self, key: str, payload: Payload) -> Pristine | None:
        """Keep what was fetched, if it is worth keeping as a payload; give the entry to decode from."""
        if not self._payloads or not self._takes(payload) or payload.codec in {"bytes", "str"}:
            return None
        if payload.nbytes >= COPY_BELOW and not self._met_before(key):
            return None
        pristine = Pristine(payload)
        self._add(key, pristine, payload.nbytes)
        return pristine

    def keep_object(self, key: str, target: Any, payload: Payload) -> None:
        """Keep what was decoded, if sharing it can do no harm."""
        if type(target) not in IMMUTABLE and not self._objects:
            return
        # `_takes`, spelled out: every first get of a small object comes here.
        if self._size and payload.nbytes <= self._nbytes and not payload.expires:
            self._add(key, target, payload.nbytes)

    def drop(self, key: str) -> None:
        """Forget a key for good: what a thread is fetching right now is not kept either."""
        if not self._size:
            return
        # First noted, then removed: who adds it meanwhile does so before, or sees the note.
        self._dropped[key] = None
        if len(self._dropped) > REMEMBERED_DROPS:
            self._dropped.popitem(last=False)
        self._remove(key)

    def clear(self) -> None:
        """Forget everything."""
        self._seen.clear()
        for key in list(self._entries):
            self._remove(key)

    def _takes(self, payload: Payload) -> bool:
        # What may expire is never kept: from its expiry on nobody may see it.
        return bool(self._size) and payload.nbytes <= self._nbytes and not payload.expires

    def _met_before(self, key: str) -> bool:
        if self._seen.pop(key, False):
            return True
        self._seen[key] = True
        if len(self._seen) > REMEMBERED_PER_ENTRY * self._size:
            self._seen.popitem(last=False)
        return False

    def _add(self, key: str, value: Any, nbytes: int) -> None:
        self._remove(key)
        entry = value, nbytes
        entries = self._entries
        if key not in entries:  # else another thread was quicker
            entries[key] = entry
            self.nbytes += nbytes
        if key in self._dropped:
            self._remove(key)
        while entries and (len(entries) > self._size or self.nbytes > self._nbytes):
            with suppress(RuntimeError):  # another thread changed them at this instant
                self._remove(next(iter(entries), key))

    def _remove(self, key: str) -> None:
        entries = self._entries
        if key in entries:
            entry = entries[key]
            del entries[key]
            self.nbytes -= entry[1]
            del entry
