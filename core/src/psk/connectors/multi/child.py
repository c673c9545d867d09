"""What is one of a multi connector's channels? A name, a policy, and a connector that is opened when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors.arguments import OBJECT_ID_DIGITS, validate_key
from psk.connectors.catalog import find_connector
from psk.connectors.config import format_uri, parse_uri
from psk.errors import ConnectorClosedError, ConnectorConfigError, ConnectorError, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.policy import Policy


class Child:
    """One channel of a multi connector.

    No lock is held while it is opened, so that a forked child never finds one held; of two threads that open it at
    once, one closes its own again.

    Args:
        name: Names the channel in keys.
        policy: Which objects it takes.
        channel: An open connector, or a URI.
        open_child: Opens a URI.

    Raises:
        ConnectorConfigError: The URI is malformed, or is one of another multi connector.
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
            self._open_at_once()

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

    def connector(self) -> Connector:
        """Give the connector, opened now if it was not before.

        Raises:
            ConnectorClosedError: The multi connector is closed.
            UnknownConnectorError: It is not installed here.
            ConnectorError: It cannot be opened here.
        """
        kept = self._kept.get("connector")
        return self._open() if kept is None else kept

    def close(self, timeout: float | None = None) -> None:
        """Close the connector, for good."""
        self._closed = True
        kept = self._kept.pop("connector", None)
        if kept is not None:
            kept.close(timeout)

    def undo(self) -> None:
        """Close the connector if this child opened it, for a multi connector that comes to nothing."""
        if not self._given:
            self.close()

    def named(self, key: Key, connector: Connector) -> Key:
        """Give the multi connector's key for an object that was just put here, or take the object back.

        Raises:
            InvalidKeyError: As `outer_key`.
        """
        try:
            return self.outer_key(key)
        except InvalidKeyError:
            connector.evict(key)
            raise

    def outer_key(self, key: Key) -> Key:
        """Give the key by which the multi connector knows an object of this channel.

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

    def _open(self) -> Connector:
        self._check_open()
        fresh = self._open_child(self.uri)
        kept = self._kept.setdefault("connector", fresh)
        if kept is not fresh:
            fresh.close()
        if self._closed:
            self.close()
            self._check_open()
        return kept

    def _check_open(self) -> None:
        if self._closed:
            raise ConnectorClosedError("the multi connector is closed", remedy="open a new one")

    def _must_open_at_once(self, config: dict[str, object]) -> bool:
        # A URI that names no place means a new one each time, and one in this host's memory may leave out whose it is:
        # only the open connector can say what must travel. Neither needs a network or a disk.
        if "authority" not in config and "path" not in config:
            return True
        served_by = self.connector_class
        return served_by is not None and getattr(served_by, "leaves_host", True) is False

    def _open_at_once(self) -> None:
        try:
            self.uri = format_uri(self.connector().config())
        except ConnectorConfigError:
            raise
        except ConnectorError:
            pass  # reported to whoever needs it
