"""Serve the contract from a directory of objects: the connectors `file` and `shm` open it in their own ways."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from psk.connectors import (
    check_claim,
    check_range,
    check_timeout,
    check_ttl,
    deadline_after,
    deadline_error,
    listed,
    validate_plain_key,
)
from psk.connectors.arguments import check_size
from psk.connectors.directory.objects import Objects
from psk.connectors.duties import AbortedAtEnd, ContextManaged, Rebuilding, Reserving
from psk.errors import (
    ForkedConnectorError,
    InvalidArgumentError,
    PayloadError,
    PskError,
)
from psk.plugins.importing import on_demand
from psk.wire import Header

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors import Frames, Key, Payload
    from psk.connectors.directory.channel import Channel
    from psk.connectors.directory.waiting import Watcher
    from psk.connectors.directory.writing import Memory


class Allocation(AbortedAtEnd):
    """Memory of a channel that is being filled; see `psk.connectors.Allocation`.

    Args:
        channel: The channel.
        nbytes: Size of the payload that it is for.
        deadline: When to give up, by `time.monotonic`.
        default_timeout: Seconds that `commit` may take when it does not say otherwise.
    """

    __slots__ = ("__weakref__", "_buffer", "_channel", "_held", "_nbytes", "_process", "_timeout")

    def __init__(self, channel: Channel, nbytes: int, deadline: float, default_timeout: float) -> None:
        self._channel = channel
        self._nbytes = nbytes
        self._timeout = default_timeout
        self._process = os.getpid()
        self._held: list[Memory] = []
        channel.run("write to", Objects.allocate, nbytes, deadline, self._held, nbytes=nbytes)
        self._buffer = self._held[0].view[:nbytes]

    @property
    def buffer(self) -> memoryview:
        """The memory, valid until `commit` or `abort`."""
        self._memory()
        return self._buffer

    def commit(self, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Make the payload in the buffer an object; see `psk.connectors.Allocation`."""
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        memory, nbytes = self._memory(), self._nbytes
        try:
            key = _key_of_payload(self._buffer)
        except PayloadError:
            self.abort()
            raise
        try:
            # First: who can write to an object changes what others read. Arrays over the buffer are found by releasing
            # it, slices of it by unmapping the memory.
            self._buffer.release()
            memory.unmap()
        except BufferError:
            self._buffer = memory.view[:nbytes]
            raise InvalidArgumentError(
                f"the buffer of object {key} is still in use",
                remedy="release every view of it (slices, arrays) before the commit",
            ) from None
        try:
            self._channel.run("write to", Objects.commit, key, memory, nbytes, ttl, deadline, nbytes=nbytes)
        finally:
            self.abort()
        self._channel.expect(key, ttl)
        return key

    def abort(self) -> None:
        """Give the memory back; does nothing after `commit` or `abort`."""
        with suppress(IndexError):  # several threads may abort it: only one gives it back
            memory = self._held.pop()
            with suppress(BufferError, AttributeError):  # views of it remain, or it was never made
                self._buffer.release()
            memory.close() if os.getpid() == self._process else memory.forget()

    def _memory(self) -> Memory:
        if not self._held:
            raise InvalidArgumentError("the allocation was committed or aborted", remedy="allocate again")
        if os.getpid() != self._process:
            raise ForkedConnectorError(
                "an allocation of the parent process cannot be used in a forked child",
                remedy="allocate and commit in one process",
            )
        return self._held[0]

    def __del__(self) -> None:
        with suppress(Exception):  # a finaliser never raises: the instance may be half made
            self.abort()


def _key_of_payload(buffer: memoryview) -> Key:
    """Return the key of the payload that fills a buffer, as its header says."""
    header = Header.read(buffer)
    if header.nbytes != len(buffer):
        raise PayloadError(
            f"the buffer does not hold one whole payload of {len(buffer)} bytes",
            found=[f"payload of {header.nbytes} bytes"],
            remedy="allocate the size of the payload, and fill all of it",
        )
    return header.key


class DirectoryConnector(ContextManaged, Rebuilding, Reserving):
    """What `file` and `shm` do alike; they differ in how they open a channel.

    Attributes:
        _channel: The open channel.
        _timeout: Seconds a call may take when it does not say otherwise.
        _config: As `config` returns it.
    """

    __slots__ = ("__weakref__", "_channel", "_config", "_timeout")

    _channel: Channel
    _timeout: float
    _config: dict[str, object]

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Copy the payload into a file and name it; see `Connector.put`."""
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        nbytes, channel = payload.nbytes, self._channel
        key = channel.run("write to", Objects.put, payload.key, payload, nbytes, ttl, deadline, nbytes=nbytes)
        if ttl is not None:
            channel.expect(key, ttl)
        return key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  the file says it
        timeout: float | None = None,
    ) -> Frames | None:
        """Return the object in private memory; see `Connector.get`."""
        validate_plain_key(key)
        return self._channel.run("read from", Objects.get, key, deadline_after(timeout, self._timeout))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the key has an unexpired object."""
        validate_plain_key(key)
        check_timeout(timeout)
        return self._channel.run("read", Objects.exists, key)

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object and its claim."""
        validate_plain_key(key)
        self._channel.run("remove from", Objects.evict, key, deadline_after(timeout, self._timeout))
        self._channel.expect(key, None)

    def close(self, timeout: float | None = None) -> None:
        """Close the channel, which takes no time; its objects stay as long as they would without it."""
        check_timeout(timeout)
        self._leave(self._channel.close())

    def _leave(self, objects: Objects | None) -> None:
        """Do what else has to be done after the channel was closed; `objects` are None if it was closed before."""

    def config(self) -> dict[str, object]:
        """Name the channel, and the options that differ from the defaults."""
        return dict(self._config)

    def check_open(self) -> None:
        """Raise ConnectorClosedError if the channel was closed."""
        self._channel.opened()

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one: by notification on local file systems, else by looking.

        An object that is evicted, or expires, as soon as it appears may be missed.
        """
        with on_demand:
            from psk.connectors.directory.waiting import await_objects

        wanted, channel = [validate_plain_key(key) for key in keys], self._channel
        try:
            found = await_objects(channel, wanted, deadline_after(timeout, self._timeout))
        except PskError:
            raise
        except (OSError, ImportError) as error:
            raise channel.typed(error, "wait in", 0) from error
        if found:
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in {self._channel.uri()}")

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now by the channel's clock, or never."""
        validate_plain_key(key)
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        there = self._channel.run("change an object in", Objects.renew, key, ttl, deadline)
        if there:
            self._channel.expect(key, ttl)
        return there

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,  # noqa: ARG002  the file says it
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object; the first claim wins. On local file systems only."""
        validate_plain_key(key)
        check_claim(claim)
        deadline = deadline_after(timeout, self._timeout)
        if lease is not None:
            check_ttl(lease, "lease")
        return self._channel.run("claim an object in", Objects.take, key, claim, lease, deadline)

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload into private memory."""
        validate_plain_key(key)
        check_range(offset, length)
        deadline = deadline_after(timeout, self._timeout)
        return self._channel.run("read from", Objects.get_range, key, offset, length, deadline)

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects in the channel."""
        return iter(self._channel.run("list", Objects.names, deadline_after(timeout, self._timeout)))

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk wrote into the channel, whichever store did."""
        return self._channel.run("clear", Objects.clear, deadline_after(timeout, self._timeout))

    def allocate(self, nbytes: int, *, timeout: float | None = None) -> Allocation:
        """Return memory of the channel for one payload of `nbytes` bytes; see `SupportsAllocate`."""
        deadline = deadline_after(timeout, self._timeout)
        return Allocation(self._channel, check_size(nbytes), deadline, self._timeout)

    def watcher(self) -> Watcher:
        """Return a new watcher of the channel; see `SupportsWatch`."""
        with on_demand:
            from psk.connectors.directory.waiting import Watcher

        try:
            return Watcher(self._channel)
        except OSError as error:
            if isinstance(error, PskError):
                raise
            raise self._channel.typed(error, "watch", 0) from error

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._channel.uri()!r})"
