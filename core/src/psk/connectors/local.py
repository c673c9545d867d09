"""Move objects within one process, through a named space of its memory: the reference connector."""

from __future__ import annotations

import os
import re
import threading
import time
from operator import eq
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from psk.connectors.arguments import (
    DEFAULT_TIMEOUT,
    check_claim,
    check_object_id,
    check_range,
    check_size,
    check_timeout,
    check_ttl,
    deadline_after,
    deadline_error,
    listed,
    shown,
    validate_plain_key,
)
from psk.connectors.config import as_text, read_options
from psk.connectors.duties import AbortedAtEnd, ContextManaged, Finalised, Rebuilding, Reserving
from psk.connectors.reaper import REAPER
from psk.connectors.waiting import Wake
from psk.errors import (
    ChannelUnavailableError,
    ConnectorClosedError,
    ConnectorConfigError,
    ForkedConnectorError,
    InvalidArgumentError,
    KeyExistsError,
    MissingKeyError,
    RevisionConflictError,
)
from psk.fork import after_fork_in_child
from psk.wire import Frames, Payload, allocate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.watching import Settable, ToldWatcher
    from psk.wire import Buffer

ALIGNMENT: Final = 64

_WHOLE_BYTES: Final = 64 * 1024
"""Smaller payloads are joined: faster than a buffer for each frame."""

_MAPPED_BYTES: Final = 2 * 1024 * 1024
"""Larger buffers are mapped: with huge pages a copy is several times faster than a new bytes object."""

TOKEN: Final = f"{os.getpid()}-{os.urandom(4).hex()}"
"""Identifies this process in the URIs of its local channels; a forked child inherits it together with the objects."""

_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}").fullmatch
_READERS = {"authority": as_text, "process": as_text}


class Stored(Frames):
    """One object: its bytes, and whatever else belongs to it, so that one dictionary operation places or removes all.

    Attributes:
        expires: When it expires, by `time.monotonic`; None: never.
        claim: Who took it, and when that claim ends; None: nobody.
    """

    __slots__ = ("claim", "expires")

    def __init__(self, buffers: Sequence[Buffer], expires: float | None = None) -> None:
        self.buffers = buffers
        self.sums = None
        self.expires = expires
        self.claim: tuple[str, float] | None = None


class Space:
    """Hold the objects of one named local channel.

    Plain `put` and `get` are single dictionary operations, which the interpreter makes atomic; everything
    that looks before it changes does so under `lock`.
    """

    __slots__ = ("__weakref__", "expiring", "forked", "instances", "lock", "name", "objects", "waiting")

    def __init__(self, name: str) -> None:
        self.name = name
        self.objects: dict[str, Stored] = {}
        self.expiring: set[str] = set()  # the keys that the reaper has to look at; perhaps more than expire
        self.waiting: dict[str, set[Settable]] = {}
        self.lock = threading.RLock()
        self.instances = 0
        self.forked = False

    def place(self, key: str, stored: Stored) -> None:
        """Make an object visible, unless it is there already."""
        if self.objects.setdefault(key, stored) is not stored:
            with self.lock:
                self.find(key)  # removes one that has expired
                there = self.objects.setdefault(key, stored)
                if there is not stored and not _is_same(there, stored):
                    raise KeyExistsError(
                        f"local://{self.name} holds a different object under {key}",
                        remedy="objects are written once: encode the new one with a new id, or swap",
                    )
        if stored.expires is not None:
            self.reap_at(key, stored.expires)
        if self.waiting:
            self._wake(key)

    def find(self, key: str) -> Stored | None:
        """Return the object, unless it is missing or has expired."""
        stored = self.objects.get(key)
        if stored is not None and _has_expired(stored):
            with self.lock:
                # Looked up again: it may have been renewed while we waited for the lock.
                stored = self.objects.get(key)
                if stored is not None and _has_expired(stored):
                    self.remove(key)
                    return None
        return stored

    def present(self, keys: Sequence[str]) -> list[str]:
        """Return those keys that have an object."""
        return [key for key in keys if self.find(key) is not None]

    def remove(self, key: str) -> bool:
        """Remove an object and what belongs to it; tell whether it was there."""
        with self.lock:
            there = self.objects.pop(key, None) is not None
            if key in self.expiring:
                self.expiring.discard(key)
                if not self.expiring:
                    REAPER.forget(self)
            return there

    def reap(self) -> float | None:
        """Remove all that has expired; return when the next one does."""
        due = None
        with self.lock:
            for key in list(self.expiring):
                stored = self.find(key)
                if stored is None or stored.expires is None:
                    self.expiring.discard(key)
                else:
                    due = stored.expires if due is None else min(due, stored.expires)
        drop_if_unused(self)
        return due

    def reap_at(self, key: str, expires: float) -> None:
        """Have the reaper look at an object when it expires."""
        with self.lock:  # else a removal at this moment might make the reaper forget it
            self.expiring.add(key)
        REAPER.watch(self, expires)

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

    def after_fork(self) -> None:
        """Make this a snapshot of the parent's memory: readable, with a lock that nobody holds."""
        self.lock = threading.RLock()
        self.waiting = {}
        self.forked = True

    def _wake(self, key: str) -> None:
        with self.lock:
            for settable in tuple(self.waiting.get(key, ())):
                settable.set()


def _has_expired(stored: Stored) -> bool:
    expires = stored.expires
    return expires is not None and expires <= time.monotonic()


def _is_same(stored: Frames, fresh: Frames) -> bool:
    # Copies of one payload are cut alike.
    one, other = stored.buffers, fresh.buffers
    return len(one) == len(other) and all(map(eq, one, other))


def copy_in(payload: Payload, ttl: float | None = None) -> Stored:
    """Return a payload's bytes as buffers that nobody can change: one, or the header block and one for each frame."""
    expires = None if ttl is None else time.monotonic() + check_ttl(ttl)
    if payload.nbytes < _WHOLE_BYTES:
        return Stored((b"".join(payload.buffers()),), expires)
    return Stored(tuple(map(_frozen, payload.parts)), expires)


def _frozen(part: Buffer | list[Buffer]) -> Buffer:
    """Copy one or several buffers into one that is read-only; a whole bytes object, which never changes, is kept."""
    views = [memoryview(buffer) for buffer in (part if isinstance(part, list) else [part])]
    nbytes = sum(view.nbytes for view in views)
    whole = views[0].obj if len(views) == 1 else None
    if type(whole) is bytes and len(whole) == nbytes:
        return whole
    if nbytes < _MAPPED_BYTES:
        return b"".join(views)
    memory = allocate(nbytes)
    start = 0
    for view in views:
        memory[start : start + view.nbytes] = view
        start += view.nbytes
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


class LocalConnector(ContextManaged, Finalised, Rebuilding, Reserving):
    """Keep objects in this process's memory, under a name that all its threads can open.

    Data stays until it is evicted, cleared or expires, also after `close()`. A forked child sees a snapshot
    that it can read, not change; no other process can reach it.

    Args:
        name: The space to open, new if there is none; None makes one with a random name.

    Raises:
        ConnectorConfigError: The name is not 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
    """

    __slots__ = ("__weakref__", "_name", "_space")

    scheme: ClassVar[str] = "local"
    leaves_host: bool = False
    in_memory: bool = True
    durabilities: tuple[str, ...] = ("volatile",)

    def __init__(self, name: str | None = None) -> None:
        self._space: Space | None = None
        if name is None:
            name = os.urandom(6).hex()
        elif not (isinstance(name, str) and _is_name(name)):
            raise ConnectorConfigError(
                f"{shown(name)} is not a name of a local channel", remedy="use up to 64 letters, digits and . _ ~ -"
            )
        self._name = name
        with SPACES.lock:
            self._space = SPACES.by_name.setdefault(name, Space(name))
            self._space.instances += 1

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Store a copy of the payload; see `Connector.put`."""
        space = self._space
        if space is None or space.forked:
            space = self._writable()
        if timeout is not None:
            check_timeout(timeout)
        key = payload.key
        space.place(key, copy_in(payload, ttl))
        return key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  nothing is received
        timeout: float | None = None,
    ) -> Frames | None:
        """Return the stored buffers, which are shared and read-only; see `Connector.get`."""
        space = self._space
        if space is None:
            space = self._readable()
        if timeout is not None:
            check_timeout(timeout)
        try:
            stored = space.objects.get(key)
        except TypeError:  # not hashable
            stored = None
        if stored is None:
            validate_plain_key(key)
        elif stored.expires is not None:
            return space.find(key)
        return stored

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the space holds the object."""
        return self.get(key, timeout=timeout) is not None

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object, its claim and its expiry."""
        check_timeout(timeout)
        self._writable().remove(validate_plain_key(key))

    def close(self, timeout: float | None = None) -> None:
        """Leave the space; its objects stay."""
        check_timeout(timeout)
        space, self._space = self._space, None
        if space is not None:
            with SPACES.lock:
                space.instances -= 1
            space.wake_all()  # one of them may wait with this connector
            drop_if_unused(space)

    def config(self) -> dict[str, object]:
        """Name the space and its process; elsewhere `from_config` raises ChannelUnavailableError."""
        return {"scheme": self.scheme, "authority": self._name, "process": TOKEN}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the space that `config()` or `local://<name>` names."""
        options = read_options(config, scheme=cls.scheme, readers=_READERS)
        name = options.get("authority")
        if "process" in options:
            check_process(str(options["process"]), str(name))
        return cls(None if name is None else str(name))

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one."""
        wanted = [validate_plain_key(key) for key in keys]
        deadline = deadline_after(timeout, DEFAULT_TIMEOUT)
        arrived = Wake()
        space = self._readable()
        space.tell(wanted, arrived)
        try:
            while not (found := self._readable().present(wanted)):
                if not arrived.wait(deadline - time.monotonic()):
                    raise deadline_error(f"waiting for {listed(wanted)} in local://{self._name}")
        finally:
            space.tell_no_more(wanted, arrived)
        return found

    def put_batch(self, payloads: Sequence[Payload], **options: Any) -> list[Key]:
        """Put each payload; options as of `put`."""
        return [self.put(payload, **options) for payload in payloads]

    def get_batch(
        self,
        keys: Sequence[Key],
        *,
        sizes: Sequence[int | None] | None = None,  # noqa: ARG002  nothing is received
        timeout: float | None = None,
    ) -> list[Frames | None]:
        """Get each key."""
        return [self.get(key, timeout=timeout) for key in keys]

    def exists_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[bool]:
        """Tell for each key whether the space holds its object."""
        return [self.exists(key, timeout=timeout) for key in keys]

    def evict_batch(self, keys: Sequence[Key], *, timeout: float | None = None) -> None:
        """Evict each key."""
        for key in keys:
            self.evict(key, timeout=timeout)

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now, or never."""
        check_timeout(timeout)
        expires = None if ttl is None else time.monotonic() + check_ttl(ttl)
        space = self._writable()
        with space.lock:
            stored = space.find(validate_plain_key(key))
            if stored is None:
                return False
            stored.expires = expires
        if expires is not None:
            space.reap_at(key, expires)
        return True

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,  # noqa: ARG002  nothing is received
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object; the first claim wins."""
        check_timeout(timeout)
        until = float("inf") if lease is None else time.monotonic() + check_ttl(lease, "lease")
        check_claim(claim)
        space = self._writable()
        with space.lock:
            stored = space.find(validate_plain_key(key))
            if stored is None:
                return None
            held = stored.claim
            if held is not None and held[0] != claim and time.monotonic() < held[1]:
                return None
            stored.claim = (claim, until)
            return stored

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version; readers of the old one keep it."""
        check_timeout(timeout)
        check_object_id(validate_plain_key(key), payload.object_id)
        fresh = copy_in(payload, ttl)
        space = self._writable()
        with space.lock:
            stored = space.find(key)
            if stored is None:
                raise MissingKeyError(
                    f"local://{self._name} holds no object under {key} that could be swapped", remedy="put it first"
                )
            current = Payload.parse(stored).revision
            if payload.revision != current + 1 and not _is_same(stored, fresh):
                raise RevisionConflictError(
                    f"revision {payload.revision} of {key} does not follow the current one",
                    found=[f"revision {current}"],
                    remedy=f"get the current version and swap revision {current + 1}",
                )
            if fresh.expires is None:
                fresh.expires = stored.expires
            fresh.claim = stored.claim
            space.objects[key] = fresh
        if fresh.expires is not None:
            space.reap_at(key, fresh.expires)

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload: a read-only view if it lies in one buffer, else a copy."""
        check_range(offset, length)
        frames = self.get(key, timeout=timeout)
        if frames is None:
            return None
        parts = []
        position = 0
        for buffer in frames.buffers:
            for piece in (bytes(-position % ALIGNMENT), buffer):
                start = max(offset - position, 0)
                parts.append(memoryview(piece)[start : max(offset + length - position, start)])
                position += len(piece)
        parts = [part for part in parts if part.nbytes]
        return parts[0] if len(parts) == 1 else memoryview(b"".join(parts))

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys that exist now."""
        check_timeout(timeout)
        space = self._readable()
        return iter(space.present(list(space.objects)))

    def clear(self, *, timeout: float | None = None) -> int:
        """Remove every object of this space."""
        check_timeout(timeout)
        space = self._writable()
        with space.lock:
            return sum(map(space.remove, space.present(list(space.objects))))

    # Nothing below waits, so that a coroutine never blocks its loop.

    async def aput(self, payload: Payload, **options: Any) -> Key:
        """Do what `put` does."""
        return self.put(payload, **options)

    async def aget(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Do what `get` does."""
        return self.get(key, size=size, timeout=timeout)

    async def aexists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Do what `exists` does."""
        return self.exists(key, timeout=timeout)

    async def aevict(self, key: Key, *, timeout: float | None = None) -> None:
        """Do what `evict` does."""
        self.evict(key, timeout=timeout)

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> LocalAllocation:
        """Return memory for a payload."""
        check_timeout(timeout)
        self._writable()
        return LocalAllocation(self, check_size(nbytes))

    def watcher(self) -> ToldWatcher:
        """Return a watcher of this space."""
        from psk.connectors.watching import ToldWatcher

        return ToldWatcher(self._writable(), self.check_open)

    def check_open(self) -> None:
        """Raise unless objects can be put."""
        self._writable()

    def _readable(self) -> Space:
        space = self._space
        if space is None:
            raise ConnectorClosedError(f"the connector to local://{self._name} is closed", remedy="open a new one")
        return space

    def _writable(self) -> Space:
        space = self._readable()
        if space.forked:
            raise ForkedConnectorError(
                f"local://{self._name} belongs to the parent process, which would not see the change",
                remedy="return the value to the parent, or use a file:// store",
            )
        return space

    def __repr__(self) -> str:
        return f"LocalConnector({self._name!r})"


class LocalAllocation(AbortedAtEnd):
    """Memory of this process that is being filled; see `Allocation`."""

    __slots__ = ("_connector", "_held")

    def __init__(self, connector: LocalConnector, nbytes: int) -> None:
        self._connector = connector
        self._held = [allocate(nbytes)]

    @property
    def buffer(self) -> memoryview:
        """The memory, until `commit` or `abort`."""
        if not self._held:
            raise InvalidArgumentError("the allocation was committed or aborted", remedy="allocate again")
        return self._held[0]

    def commit(self, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Put the payload in the buffer. It is copied, since the caller may still have views of the buffer."""
        try:
            return self._connector.put(Payload.parse(self.buffer), ttl=ttl, timeout=timeout)
        finally:
            self.abort()

    def abort(self) -> None:
        """Give the memory back."""
        self._held.clear()
