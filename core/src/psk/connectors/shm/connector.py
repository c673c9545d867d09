"""How does the shm connector keep the contract between the processes of one host, in shared memory?"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Self

from psk.connectors.arguments import (
    check_claim,
    check_object_id,
    check_range,
    check_timeout,
    check_ttl,
    deadline_after,
    deadline_error,
    key_of,
    listed,
    validate_plain_key,
)
from psk.connectors.config import read_options
from psk.connectors.contract import DEFAULT_TIMEOUT
from psk.connectors.file.failures import failure
from psk.connectors.mixins import ContextManaged, Rebuilding
from psk.connectors.shm.claims import take_object
from psk.connectors.shm.limits import Limits
from psk.connectors.shm.options import READERS, ROOT, check_address, check_joinable, is_token
from psk.connectors.shm.placing import put_object
from psk.connectors.shm.process import enter_space, leave_space
from psk.connectors.shm.reading import read_object, read_part, renew_object
from psk.connectors.shm.removing import clear, is_present, live_names, present_names, remove_object
from psk.connectors.shm.sweep import sweep
from psk.errors import ConnectorClosedError, ConnectorError, PskError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.shm.space import Space
    from psk.wire import Frames, Payload


class ShmConnector(ContextManaged, Rebuilding):
    """Keep objects in this host's shared memory; a reader gets its own copy-on-write view of them.

    Without a name they belong to this process, whoever puts them, and go when it ends. The connector's URI opens
    the same place in other processes. With a name they last as long as any process uses the name.

    Args:
        name: A session to share by name, or the token of a process's session.
        space: The place within a process's session, from its URI.
        root: Where sessions are: a directory in memory.
        max_bytes: What all objects of this place may use together; None for no limit.
        reuse_bytes: What is kept of evicted objects' memory for later puts; None for a quarter of what there is,
            at most 1 GiB.
        timeout: Seconds a call may take when it does not say otherwise.

    Raises:
        ConnectorConfigError: An option makes no sense.
        ConnectorError: This system is not Linux.
        ChannelUnavailableError: The session has ended, or `root` cannot be used.
    """

    __slots__ = ("__weakref__", "_config", "_entered", "_limits", "_space", "_timeout", "_was_waited_on")

    scheme: ClassVar[str] = "shm"
    leaves_host: bool = False
    in_memory: bool = True
    durabilities: tuple[str, ...] = ("volatile",)

    def __init__(
        self,
        name: str | None = None,
        *,
        space: str | None = None,
        root: str = ROOT,
        max_bytes: int | None = None,
        reuse_bytes: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._open(name, space, create=True, root=root, max_bytes=max_bytes, reuse_bytes=reuse_bytes, timeout=timeout)

    def _open(
        self,
        name: str | None,
        space: str | None,
        *,
        create: bool,
        root: str = ROOT,
        max_bytes: int | None = None,
        reuse_bytes: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self._space: Space | None = None
        self._was_waited_on = False
        self._entered: list[Space] = []
        check_address(name, space)
        options = {"root": root, "max_bytes": max_bytes, "reuse_bytes": reuse_bytes, "timeout": timeout}
        defaults = {"root": ROOT, "max_bytes": None, "reuse_bytes": None, "timeout": DEFAULT_TIMEOUT}
        changed = {option: value for option, value in options.items() if value != defaults[option]}
        read = read_options(changed, scheme=self.scheme, readers=READERS)
        if sys.platform != "linux":
            raise ConnectorError(
                f"shared memory needs Linux: locks that go with a process, and files in memory; this is {sys.platform}",
                remedy="use a file:// or local:// store",
            )
        self._timeout = float(timeout)
        root = str(read.get("root", ROOT))
        try:
            self._space = opened = enter_space(root, name, space, self._entered, create=create)
            self._limits = Limits(max_bytes, reuse_bytes, opened.directory)
        except PskError:
            raise
        except (OSError, ImportError) as error:
            self.close()
            raise failure(error, "enter a session in", root) from error
        self._config: dict[str, object] = {"scheme": self.scheme, "authority": opened.session.name, **read}
        if is_token(opened.session.name):
            self._config["path"] = f"/{opened.name}"

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Copy the payload into shared memory and name it; see `Connector.put`."""
        space = self._opened()
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        key = space.write(payload.nbytes, put_object, space.pool, payload, ttl, limits=self._limits, deadline=deadline)
        if ttl is not None:
            space.expect(key, ttl)
        return key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  nothing is received
        timeout: float | None = None,
    ) -> Frames | None:
        """Return the object in private memory, mapped and not copied from 64 KiB on; see `Connector.get`."""
        validate_plain_key(key)
        return self._opened().run("read from", read_object, key, deadline_after(timeout, self._timeout))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether an unexpired object stands under the key."""
        validate_plain_key(key)
        check_timeout(timeout)
        return self._opened().run("look into", is_present, key)

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object and its claim; its memory is used for later puts, or freed."""
        validate_plain_key(key)
        deadline = deadline_after(timeout, self._timeout)
        space = self._opened()
        space.run("remove from", remove_object, space.pool, key, self._limits.reuse_bytes, deadline)
        space.expect(key, None)

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002  nothing is under way
        """Leave the space; its objects stay until the session ends."""
        self._space = None
        with suppress(IndexError):  # whoever closes it first leaves, and only once
            leave_space(self._entered.pop())
        if self._was_waited_on:
            from psk.connectors.notices import NOTICES

            NOTICES.forget(self)

    def config(self) -> dict[str, object]:
        """Name session and space, and the options that differ from the defaults."""
        return dict(self._config)

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open what `config()`, `shm://` (a new space), `shm://<name>` or a connector's URI names."""
        options = read_options(config, scheme=cls.scheme, readers=READERS)
        return cls(options.pop("authority", None), space=options.pop("path", None), **options)  # type: ignore[arg-type]  # each was read as what it must be

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Open a session and space as `from_config` does, but make none; see `join_connector`."""
        options = read_options(config, scheme=cls.scheme, readers=READERS)
        sweep(str(options.get("root", ROOT)))  # now, so that the session of a killed process is not there any more
        check_joinable(options)
        self = cls.__new__(cls)
        name, space = options.pop("authority", None), options.pop("path", None)
        self._open(name, space, create=name is None, **options)  # type: ignore[arg-type]  # each was read as what it must be
        return self

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object that does not exist yet; nothing is written."""
        check_timeout(timeout)
        if ttl is not None:
            check_ttl(ttl)
        self._opened()
        return key_of(object_id)

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved."""
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one, woken by the kernel.

        An object that is evicted, or expires, as soon as it appears may be missed.
        """
        with on_demand:
            from psk.connectors.arrivals import await_names

        wanted = [validate_plain_key(key) for key in keys]
        deadline = deadline_after(timeout, self._timeout)
        self._was_waited_on = True
        found = await_names(
            self,
            wanted,
            look=lambda names: self._opened().run("look into", present_names, names),
            place=lambda: self._opened().directory,
            deadline=deadline,
        )
        if found:
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in shm://{self._config['authority']}")

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now, or never."""
        validate_plain_key(key)
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        space = self._opened()
        there = space.run("change an object in", renew_object, key, ttl, deadline)
        if there:
            space.expect(key, ttl)
        return there

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
        validate_plain_key(key)
        check_claim(claim)
        deadline = deadline_after(timeout, self._timeout)
        if lease is not None:
            check_ttl(lease, "lease")
        return self._opened().run("claim an object in", take_object, key, claim, lease, deadline)

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload into private memory."""
        validate_plain_key(key)
        check_range(offset, length)
        deadline = deadline_after(timeout, self._timeout)
        return self._opened().run("read from", read_part, key, offset, length, deadline)

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects in this space."""
        deadline = deadline_after(timeout, self._timeout)
        return iter(self._opened().run("list", live_names, deadline))

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object of this space, and give its memory back to the system."""
        deadline = deadline_after(timeout, self._timeout)
        space = self._opened()
        return space.run("clear", clear, space.pool, deadline)

    def _opened(self) -> Space:
        space = self._space
        if space is None:
            raise ConnectorClosedError(
                f"the connector to shm://{self._config['authority']} is closed", remedy="open a new one"
            )
        return space

    def __repr__(self) -> str:
        where = f"{self._config['authority']}{self._config.get('path', '')}" if hasattr(self, "_config") else "?"
        return f"ShmConnector({where!r})"

    def __del__(self) -> None:
        # A finaliser never raises: the instance may be half made. And at the interpreter's end there is nothing to let
        # go of that does not go by itself, but locks may be held for ever, by threads that were stopped.
        try:
            if not sys.is_finalizing():
                self.close()
        except Exception:  # noqa: BLE001, S110  at the very end `suppress` has gone with its module
            pass
