"""Find the channels of a multi connector that an object goes to, and the one that a key belongs to."""

from __future__ import annotations

import time
from functools import cache
from typing import TYPE_CHECKING, Any

from psk.background import submit
from psk.connectors.arguments import OBJECT_ID_DIGITS, deadline_after, shown, validate_key
from psk.connectors.capabilities import SupportsAsync, capabilities_of
from psk.connectors.catalog import find_connector
from psk.connectors.config import format_uri, parse_uri
from psk.connectors.multi.policy import tags
from psk.errors import (
    CapabilityError,
    ConnectorClosedError,
    ConnectorConfigError,
    ConnectorError,
    InvalidArgumentError,
    InvalidKeyError,
    MissingKeyError,
    PskError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.policy import Policy

_capabilities_of = cache(capabilities_of)  # `isinstance` with a protocol takes longer than most calls through multi


class Child:
    """One channel of a multi connector, opened when it is needed.

    No lock is held while it is opened, so that a forked child never finds one held. Of two threads that open it at
    the same moment, one closes its connector again.

    Args:
        name: Names the channel in keys.
        policy: Which objects it takes.
        channel: An open connector, or a URI.
        open_child: Opens a URI.

    Raises:
        ConnectorConfigError: The URI is malformed, or that of another multi connector.
    """

    __slots__ = ("_closed", "_given", "_kept", "_open_child", "name", "policy", "uri")

    def __init__(
        self, name: str, policy: Policy, channel: Connector | str, open_child: Callable[[str], Connector]
    ) -> None:
        self.name = name
        self.policy = policy
        self._open_child = open_child
        self._closed = False
        self._given = not isinstance(channel, str)
        self._kept: dict[str, Connector] = {}
        config = parse_uri(channel) if isinstance(channel, str) else channel.config()
        if config["scheme"] == "multi":
            raise ConnectorConfigError(
                f"the channel {name!r} of a multi connector is itself one", remedy="give its channels directly"
            )
        self.uri = format_uri(config)
        if not isinstance(channel, str):
            self._kept["connector"] = channel
        elif self._must_open_at_once(config):
            try:
                self.uri = format_uri(self.connector().config())
            except ConnectorConfigError:
                raise
            except ConnectorError:
                pass  # reported when it is needed

    @property
    def opened(self) -> Connector | None:
        """The connector, if it is open."""
        return self._kept.get("connector")

    @property
    def connector_class(self) -> type[Connector] | None:
        """The class that serves it, found without opening it; None if it is not installed here."""
        if self.opened is not None:
            return type(self.opened)
        try:
            return find_connector(self.uri.partition(":")[0])
        except ConnectorError:
            return None

    def has(self, attribute: str) -> bool | None:
        """Return a boolean attribute of the connector, or of its class; None if that is not known before it is open."""
        found = getattr(self.opened or self.connector_class, attribute, None)
        return found if isinstance(found, bool) else None

    def connector(self) -> Connector:
        """Return the connector, opened now if it was not before.

        Raises:
            ConnectorClosedError: The multi connector is closed.
            UnknownConnectorError: It is not installed here.
            ConnectorError: It cannot be opened here.
        """
        kept = self._kept.get("connector")
        return self._open() if kept is None else kept

    def able(self, capability: Any) -> Any:
        """Return the connector if it has a capability; None asks for none.

        Capabilities are decided by class before a channel is opened; one that was not installed then may lack one.

        Raises:
            CapabilityError: It does not have it.
        """
        connector = self.connector()
        if capability is None or capability in _capabilities_of(type(connector)):
            return connector
        raise CapabilityError(
            f"the channel {connector.scheme!r} of a multi connector has no {capability.__name__}",
            remedy="do it on the other channels only",
        )

    async def able_async(self) -> Any:
        """Return the connector for use by coroutines; it is opened in the background."""
        if self.opened is None:
            import asyncio  # costs 30 ms, and a program with coroutines has it already

            await asyncio.wrap_future(submit(self.connector))
        return self.able(SupportsAsync)

    def close(self, timeout: float | None = None) -> None:
        """Close the connector, for good."""
        self._closed = True
        kept = self._kept.pop("connector", None)
        if kept is not None:
            kept.close(timeout)

    def undo(self) -> None:
        """Close the connector if this child opened it, for a multi connector that could not be made."""
        if not self._given:
            self.close()

    def named(self, key: Key) -> Key:
        """Return the multi connector's key for an object that was just put here, or remove the object.

        Raises:
            InvalidKeyError: As `outer_key`.
        """
        try:
            return self.outer_key(key)
        except InvalidKeyError:
            self.connector().evict(key)
            raise

    def outer_key(self, key: Key) -> Key:
        """Return the key by which the multi connector knows an object of this channel.

        Raises:
            InvalidKeyError: It would be longer than a key may be.
        """
        where = key[OBJECT_ID_DIGITS + 1 :]
        try:
            return validate_key(f"{key[:OBJECT_ID_DIGITS]}@{self.name}{'~' if where else ''}{where}")
        except InvalidKeyError:
            raise InvalidKeyError(
                f"the key {key!r} of the channel {self.name!r} is too long for a multi connector",
                remedy="give the channel a shorter name, or use it without multi",
            ) from None

    def check_open(self) -> None:
        """Raise ConnectorClosedError if the multi connector is closed."""
        if self._closed:
            raise ConnectorClosedError("the multi connector is closed", remedy="open a new one")

    def _open(self) -> Connector:
        self.check_open()
        fresh = self._open_child(self.uri)
        kept = self._kept.setdefault("connector", fresh)
        if kept is not fresh:
            fresh.close()
        if self._closed:
            self.close()
            self.check_open()
        return kept

    def _must_open_at_once(self, config: dict[str, object]) -> bool:
        # A URI that names no place means a new one each time, and one in this host's memory may omit its process:
        # only the open connector can say what must travel. Neither needs a network or a disk.
        return ("authority" not in config and "path" not in config) or self.has("leaves_host") is False


class Routes:
    """Know the channels of a multi connector, and what belongs to which.

    Args:
        children: The channels; of equal priorities the first comes first.
    """

    __slots__ = ("_by_name", "_by_priority", "children")

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = tuple(children)
        self._by_name = {child.name: child for child in children}
        self._by_priority = sorted(children, key=lambda child: -child.policy.priority)

    def takers(self, nbytes: int | None, hints: Mapping[str, object] | None) -> list[Child]:
        """Return the channels that take a payload, the one with the highest priority first.

        Args:
            nbytes: Its size; None if that is not known yet.
            hints: Those of the put.

        Raises:
            ConnectorError: There are none; names each channel with its policy.
            InvalidArgumentError: The tags in the hints are not a list of texts.
        """
        subset, superset = _tags_in(hints) if hints else ((), ())
        found = [
            child
            for child in self._by_priority
            if child.policy.is_valid(size_bytes=nbytes, subset_tags=subset, superset_tags=superset)
            and child.policy.is_valid_on_host()
        ]
        if found:
            return found
        size = "of unknown size" if nbytes is None else f"of {nbytes} bytes"
        raise ConnectorError(
            f"no channel of this multi connector takes a payload {size} with subset_tags={subset} "
            f"and superset_tags={superset}",
            found=[f"{child.name}: {child.policy}" for child in self.children],
            remedy="add a channel whose policy does, or change the tags given in hints=",
        )

    def taker_of_any_size(self) -> Child:
        """Return the channel for an object of unknown size: the first that takes the largest and the smallest ones."""
        return max(
            self.takers(None, None), key=lambda child: (child.policy.max_size_bytes, -child.policy.min_size_bytes)
        )

    def locate(self, key: object) -> list[tuple[Child, Key]]:
        """Return the channel that a key names, with the key it has there.

        A key that names none may be of any channel: then all are returned.

        Raises:
            InvalidKeyError: It is not a key, or names a channel that there is not.
        """
        valid = validate_key(key)
        if len(valid) == OBJECT_ID_DIGITS:
            return [(child, valid) for child in self._by_priority]
        object_id, where = valid[:OBJECT_ID_DIGITS], valid[OBJECT_ID_DIGITS + 1 :]
        name, tilde, rest = where.partition("~")
        child = self._by_name.get(name)
        if child is None:
            raise InvalidKeyError(
                f"the key {shown(key)} names a channel that this multi connector does not have",
                found=self._by_name,
                remedy="get it through the connector that made it",
            )
        return [(child, f"{object_id}@{rest}" if tilde else object_id)]

    def ask(
        self, key: object, timeout: float | None, capability: Any, method: str, *arguments: Any, **options: Any
    ) -> Any:
        """Call a method of the channels that may hold an object, until one has an answer other than None and False.

        Args:
            key: The object.
            timeout: Seconds for all of them together; None leaves each its own default.
            capability: The one that the method belongs to; None if every connector has it.
            method: Its name.
            arguments: Those after the key.
            options: Those by name, without `timeout`.

        Raises:
            ConnectorError: None had an answer, and not all could be asked.
        """
        located = self.locate(key)
        if len(located) == 1:
            child, inner = located[0]
            connector = child.connector() if capability is None else child.able(capability)
            return getattr(connector, method)(inner, *arguments, timeout=timeout, **options)
        left = shared_time(timeout)
        search = Search(located)
        for child, inner in located:
            with search:
                answer = getattr(child.able(capability), method)(inner, *arguments, timeout=left(), **options)
                if answer is not None and answer is not False:
                    return answer
        return search.end()

    async def ask_async(self, key: object, timeout: float | None, method: str, **options: Any) -> Any:
        """Do the same with a coroutine of SupportsAsync."""
        located = self.locate(key)
        left = shared_time(timeout)
        search = Search(located)
        for child, inner in located:
            with search:
                answer = await getattr(await child.able_async(), method)(inner, timeout=left(), **options)
                if answer is not None and answer is not False:
                    return answer
        return search.end()


class Search:
    """Go on past the channels that fail while several are tried in turn; the first failure is reported at the end.

    Args:
        tried: What is tried. A failure of a single one passes.
        passed_over: The failures that let the search go on; by default every ConnectorError.
    """

    __slots__ = ("_alone", "_failure", "_passed_over")

    def __init__(self, tried: Sequence[object], *passed_over: type[PskError]) -> None:
        self._alone = len(tried) == 1
        self._failure: BaseException | None = None
        self._passed_over = passed_over or (ConnectorError,)

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if self._alone or not isinstance(error, self._passed_over):
            return False
        # A channel all of whose keys name a place has no object under any other key.
        if not isinstance(error, InvalidKeyError | MissingKeyError):
            self._failure = self._failure or error
        return True

    def end(self) -> Any:
        """Raise what failed, if anything did; return None."""
        if self._failure is not None:
            raise self._failure


def _tags_in(hints: Mapping[str, object]) -> list[tuple[str, ...]]:
    return [tags(name, hints.get(name, ()), InvalidArgumentError) for name in ("subset_tags", "superset_tags")]


def shared_time(timeout: float | None) -> Callable[[], float | None]:
    """Return a function that tells how many seconds are left of a timeout; None stays None.

    Raises:
        InvalidArgumentError: The timeout is not valid.
    """
    if timeout is None:
        return lambda: None
    deadline = deadline_after(timeout, 0)
    return lambda: max(deadline - time.monotonic(), 0.0)
