"""How does the file connector keep the contract in a directory, on any file system?"""

from __future__ import annotations

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
from psk.connectors.config import as_seconds, read_options
from psk.connectors.contract import DEFAULT_TIMEOUT
from psk.connectors.file.channel import Channel
from psk.connectors.file.claims import take_object
from psk.connectors.file.failures import check_reachable
from psk.connectors.file.objects import is_present, remove, renew
from psk.connectors.file.options import READERS, absolute, check_durability
from psk.connectors.file.placing import put_object
from psk.connectors.file.reading import read_object, read_part
from psk.connectors.file.sweep import clear, live_names
from psk.connectors.mixins import ContextManaged, Rebuilding

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.wire import Frames, Payload


class FileConnector(ContextManaged, Rebuilding):
    """Keep objects in a directory, one file each, readable by their owner only.

    Args:
        path: The directory; made with mode 0700 if it is missing. Relative to the current directory.
        durability: What an acknowledged `put` survives: "host" (and "volatile") the death of every psk
            process, "disk" the loss of power as well.
        timeout: Seconds a call may take when it does not say otherwise.

    Raises:
        ConnectorConfigError: An option makes no sense.
        DurabilityError: The file system cannot promise the durability.
        ChannelUnavailableError: The directory cannot be opened, or anybody may write to it.
    """

    __slots__ = ("__weakref__", "_channel", "_durability", "_durable", "_timeout", "durabilities")

    scheme: ClassVar[str] = "file"
    leaves_host: bool = True
    durabilities: tuple[str, ...]

    def __init__(
        self, path: str | os.PathLike[str], *, durability: str = "host", timeout: float = DEFAULT_TIMEOUT
    ) -> None:
        place = absolute(path)
        read_options({"durability": durability, "timeout": timeout}, scheme=self.scheme, readers=READERS)
        self._open(place, durability, timeout, create=True)

    def _open(self, place: str, durability: str, timeout: float, *, create: bool) -> None:
        self._durability = durability
        self._durable = durability == "disk"
        self._timeout = float(timeout)
        self.durabilities = check_durability(durability, place)
        self._channel = Channel(place, create=create)

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Write the payload to a file and name it; see `Connector.put`."""
        deadline = deadline_after(timeout, self._timeout)
        channel = self._channel
        if ttl is not None:
            check_ttl(ttl)
        key = channel.write(payload.nbytes, put_object, payload, ttl, channel.clock, deadline, durable=self._durable)
        if ttl is not None:
            channel.expect(key, ttl)
        return key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  fstat knows better
        timeout: float | None = None,
    ) -> Frames | None:
        """Read the file into private memory; see `Connector.get`."""
        validate_plain_key(key)
        deadline = deadline_after(timeout, self._timeout)
        return self._channel.run("read from", read_object, key, self._channel.clock, deadline)

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether an unexpired object stands under the key."""
        validate_plain_key(key)
        check_timeout(timeout)
        return self._channel.run("look into", is_present, key, self._channel.clock)

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object's file and its claim."""
        validate_plain_key(key)
        self._channel.run("remove from", remove, key, deadline_after(timeout, self._timeout))
        self._channel.expect(key, None)

    def close(self, timeout: float | None = None) -> None:  # noqa: ARG002  nothing is under way
        """Close the directory; its files stay."""
        self._channel.close()

    def config(self) -> dict[str, object]:
        """Name the directory and the options that differ from the defaults."""
        config: dict[str, object] = {"scheme": self.scheme, "path": self._channel.path}
        if self._durability != "host":
            config["durability"] = self._durability
        if self._timeout != DEFAULT_TIMEOUT:
            config["timeout"] = self._timeout
        return config

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the directory that `config()` or `file:///path` names."""
        options = read_options(config, scheme=cls.scheme, readers=READERS, required=("path",))
        return cls(
            str(options["path"]),
            durability=str(options.get("durability", "host")),
            timeout=as_seconds(options.get("timeout", DEFAULT_TIMEOUT)),
        )

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Open the directory as `from_config` does, but make none; see `open_connector`."""
        options = read_options(config, scheme=cls.scheme, readers=READERS, required=("path",))
        place = absolute(str(options["path"]))
        check_reachable(place)
        self = cls.__new__(cls)
        timeout = as_seconds(options.get("timeout", DEFAULT_TIMEOUT))
        self._open(place, str(options.get("durability", "host")), timeout, create=False)
        return self

    def reserve(self, object_id: bytes, *, ttl: float | None = None, timeout: float | None = None) -> Key:
        """Name an object that does not exist yet; nothing is written."""
        check_timeout(timeout)
        if ttl is not None:
            check_ttl(ttl)
        self._channel.directory()
        return key_of(object_id)

    def fulfil(self, key: Key, payload: Payload, *, ttl: float | None = None, timeout: float | None = None) -> None:
        """Put the object that was reserved."""
        check_object_id(validate_plain_key(key), payload.object_id)
        self.put(payload, ttl=ttl, timeout=timeout)

    def wait(self, keys: Sequence[Key], *, timeout: float | None = None) -> list[Key]:
        """Return those keys that exist, after waiting for one: by notification on local file systems, else by looking.

        An object that is evicted, or expires, as soon as it appears may be missed.
        """
        wanted = [validate_plain_key(key) for key in keys]
        if found := self._channel.wait(wanted, deadline_after(timeout, self._timeout)):
            return found
        raise deadline_error(f"waiting for {listed(wanted)} in file://{self._channel.path}")

    def renew(self, key: Key, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let the object expire `ttl` seconds from now by the file server's clock, or never."""
        validate_plain_key(key)
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
        channel = self._channel
        there = channel.run("change a file in", renew, key, ttl, channel.clock, deadline)
        if there:
            channel.expect(key, ttl)
        return there

    def take(
        self,
        key: Key,
        claim: str,
        *,
        lease: float | None = None,
        size: int | None = None,  # noqa: ARG002  fstat knows better
        timeout: float | None = None,
    ) -> Frames | None:
        """Claim the object; the first claim wins. On local file systems only."""
        validate_plain_key(key)
        check_claim(claim)
        deadline = deadline_after(timeout, self._timeout)
        if lease is not None:
            check_ttl(lease, "lease")
        channel = self._channel
        return channel.run("claim a file in", take_object, key, claim, lease, clock=channel.clock, deadline=deadline)

    def get_range(self, key: Key, offset: int, length: int, *, timeout: float | None = None) -> memoryview | None:
        """Read a part of the payload into private memory."""
        validate_plain_key(key)
        check_range(offset, length)
        check_timeout(timeout)
        return self._channel.run("read from", read_part, key, self._channel.clock, offset, length)

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects in the directory."""
        deadline = deadline_after(timeout, self._timeout)
        return iter(self._channel.run("list", live_names, self._channel.clock, deadline))

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk wrote into the directory, whichever store did."""
        deadline = deadline_after(timeout, self._timeout)
        return self._channel.run("clear", clear, self._channel.clock, deadline)

    def __repr__(self) -> str:
        return f"FileConnector({self._channel.path!r}, durability={self._durability!r})"
