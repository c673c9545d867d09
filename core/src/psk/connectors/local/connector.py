"""Keep the contract, with every capability, in the memory of one process: the reference connector."""

from __future__ import annotations

import os
import re
import time
from typing import TYPE_CHECKING, Any, ClassVar, Self

from psk.connectors.arguments import (
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
from psk.connectors.contract import DEFAULT_TIMEOUT
from psk.connectors.local.space import ALIGNMENT, TOKEN, Space, check_process, copy_in, join_space, leave_space
from psk.connectors.mixins import AbortedAtEnd, ContextManaged, Finalised, Rebuilding, Reserving
from psk.errors import ConnectorClosedError, ConnectorConfigError, ForkedConnectorError
from psk.wire import Payload, allocate

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.watching import ToldWatcher
    from psk.wire import Frames

_is_name = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{0,63}").fullmatch
_READERS = {"authority": as_text, "process": as_text}


class LocalConnector(ContextManaged, Finalised, Rebuilding, Reserving):
    """Keep objects in this process's memory, under a name that all its threads can open.

    Data stays until it is evicted, cleared or expires, also after `close()`. A forked child sees a snapshot
    that it can read, not change; no other process can reach it.

    Args:
        name: The space to open, new if there is none; None makes one with a random name.

    Raises:
        ConnectorConfigError: The name is not 1 to 64 of `A-Z a-z 0-9 . _ ~ -`.
    """

    __module__ = "psk.connectors.local"  # pickles contain it
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
        self._space = join_space(name)

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
        space.place(key, copy_in(payload), None if ttl is None else time.monotonic() + check_ttl(ttl))
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
            frames = space.find(key) if space.expiries else space.objects.get(key)
        except TypeError:  # not hashable
            frames = None
        if frames is None:
            validate_plain_key(key)
        return frames

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
            leave_space(space)

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
        if found := self._readable().await_any(wanted, deadline, self._readable):
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in local://{self._name}")

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
        return self._writable().renew(validate_plain_key(key), expires)

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
        return self._writable().take(validate_plain_key(key), check_claim(claim), until)

    def swap(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Replace the object by its next version; readers of the old one keep it."""
        check_timeout(timeout)
        check_object_id(validate_plain_key(key), payload.object_id)
        expires = None if ttl is None else time.monotonic() + check_ttl(ttl)
        self._writable().swap(key, copy_in(payload), expires)

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
        return self._writable().clear()

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
        """Return memory for a payload; `commit` stores it without another copy if nobody else has views of it."""
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

    __slots__ = ("_connector", "buffer")

    def __init__(self, connector: LocalConnector, nbytes: int) -> None:
        self._connector = connector
        self.buffer = allocate(nbytes)

    def commit(self, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Put the payload in the buffer. It is copied, since the caller may still have views of the buffer."""
        try:
            return self._connector.put(Payload.parse(self.buffer), ttl=ttl, timeout=timeout)
        finally:
            self.abort()

    def abort(self) -> None:
        """Give the memory back."""
        self.buffer.release()
