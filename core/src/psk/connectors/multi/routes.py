"""Find the channels of a multi connector that an object goes to, and the one that a key belongs to."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors.arguments import OBJECT_ID_DIGITS, deadline_after, shown, validate_key
from psk.connectors.catalog import find_connector
from psk.connectors.config import format_uri, parse_uri
from psk.connectors.contract import METHODS
from psk.connectors.multi.policy import tags
from psk.errors import (
    CapabilityError,
    ChannelFullError,
    ConnectorClosedError,
    ConnectorConfigError,
    ConnectorError,
    InvalidArgumentError,
    InvalidKeyError,
    MissingKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.policy import Policy
    from psk.errors import PskError
    from psk.wire import Payload

T = TypeVar("T")
A = TypeVar("A")


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
    def connector_class(self) -> type[Connector] | None:
        """The class that serves it, found without opening it; None if it is not installed here."""
        if "connector" in self._kept:
            return type(self._kept["connector"])
        try:
            return find_connector(self.uri.partition(":")[0])
        except ConnectorError:
            return None

    def has(self, attribute: str) -> bool | None:
        """Return a boolean attribute of the connector, or of its class; None if that is not known before it is open."""
        found = getattr(self._kept.get("connector", self.connector_class), attribute, None)
        return found if isinstance(found, bool) else None

    def connector(self) -> Connector:
        """Return the connector, opened now if it was not before.

        Raises:
            ConnectorClosedError: The multi connector is closed.
            UnknownConnectorError: It is not installed here.
            ConnectorError: It cannot be opened here.
        """
        kept = self._kept.get("connector")
        if kept is not None:
            return kept
        self.check_open()
        fresh = self._open_child(self.uri)
        kept = self._kept.setdefault("connector", fresh)
        if kept is not fresh:
            fresh.close()
        if self._closed:
            self.close()
            self.check_open()
        return kept

    def method(self, name: str) -> Callable[..., Any]:
        """Return a method of the connector.

        Capabilities are decided by class before a channel is opened; one that was not installed then may lack one.

        Raises:
            CapabilityError: It does not have the capability that the method belongs to.
        """
        connector = self._kept.get("connector")
        if connector is None:
            connector = self.connector()
        found: Callable[..., Any] | None = getattr(connector, name, None)
        if found is not None:
            return found
        missing = next(capability.__name__ for capability, methods in METHODS.items() if name in methods)
        raise CapabilityError(
            f"the channel {connector.scheme!r} of a multi connector has no {missing}",
            remedy="do it on the other channels only",
        )

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
        object_id = valid[:OBJECT_ID_DIGITS]
        name, tilde, rest = valid[OBJECT_ID_DIGITS + 1 :].partition("~")
        child = self._by_name.get(name)
        if child is None:
            raise InvalidKeyError(
                f"the key {shown(key)} names a channel that this multi connector does not have",
                found=self._by_name,
                remedy="get it through the connector that made it",
            )
        return [(child, f"{object_id}@{rest}" if tilde else object_id)]

    def ask(self, key: object, timeout: float | None, method: str, *arguments: Any, **options: Any) -> Any:
        """Return the first answer other than None and False of the channels that may hold an object.

        Args:
            key: The object.
            timeout: Seconds for all of them together; None leaves each its own default.
            method: The method's name.
            arguments: Those after the key.
            options: Those by name, without `timeout`.

        Raises:
            ConnectorError: None had an answer, and not all could be asked.
        """
        located = self.locate(key)
        if len(located) == 1:
            child, inner = located[0]
            return child.method(method)(inner, *arguments, timeout=timeout, **options)
        left = shared_time(timeout)

        def call(child: Child, inner: Key) -> Any:
            return child.method(method)(inner, *arguments, timeout=left(), **options)

        return first_answer(located, ConnectorError, call)

    def put(
        self, payload: Payload, ttl: float | None, timeout: float | None, hints: Mapping[str, object] | None
    ) -> Key:
        """Put a payload into the first channel that takes it and has room; see `MultiConnector.put`."""
        left = shared_time(timeout)
        full: list[ChannelFullError] = []
        for child in self.takers(payload.nbytes, hints):
            try:
                return child.named(child.connector().put(payload, ttl=ttl, timeout=left(), hints=hints))
            except ChannelFullError as error:
                full.append(error)
        raise full[0]


def first_answer(tried: Sequence[tuple[Child, A]], passed_over: Any, call: Callable[[Child, A], T]) -> T | None:
    """Call a function for channels in turn, until it has an answer other than None and False.

    Args:
        tried: The channels, each with what to pass on for it.
        passed_over: The type of the failures that do not end this. The failure of a single channel always does.
        call: The function.

    Returns:
        The answer; None or False if there was none.

    Raises:
        PskError: There was no answer, and this is the first failure.
    """
    answer: T | None = None
    failure: PskError | None = None
    for child, argument in tried:
        try:
            answer = call(child, argument)
        except passed_over as error:
            if len(tried) == 1:
                raise
            # A channel all of whose keys name a place has no object under any other key.
            if not isinstance(error, InvalidKeyError | MissingKeyError):
                failure = failure or error
        else:
            if answer is not None and answer is not False:
                return answer
    if failure is not None:
        raise failure
    return answer


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
