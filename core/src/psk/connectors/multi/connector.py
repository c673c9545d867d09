"""Route each object to one of several channels, and keep the contract with the channels there are."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, ClassVar, Self, cast

from psk.connectors.arguments import shown
from psk.connectors.catalog import join_connector, open_connector
from psk.connectors.config import format_uri
from psk.connectors.contract import DURABILITIES
from psk.connectors.mixins import ContextManaged, Rebuilding
from psk.connectors.multi.capabilities import with_capabilities
from psk.connectors.multi.configuration import check_name, read_config, write_config
from psk.connectors.multi.policy import Policy
from psk.connectors.multi.routes import Child, Routes, shared_time
from psk.errors import ChannelFullError, ConnectorConfigError, ConnectorError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.wire import Frames, Payload


class MultiConnector(ContextManaged, Rebuilding):
    """Route each object to one of several channels by size, tags, host and priority.

    An object goes to the channel with the highest priority whose policy takes it, or to the next if that one is full.
    Its key names the channel; a key without a name is looked for in each. The instance has the capabilities that all
    its channels have. What it travels as describes every channel with its policy; one that cannot be opened in the
    other process is an error only for the objects it holds.

    Args:
        connectors: By name (1 to 16 of `a-z 0-9 -`) an open connector or a URI, alone or in a tuple with its `Policy`.
            URIs are opened when they are needed. All are closed with this connector.
        open_child: Opens a URI; None takes `psk.connectors.open_connector`.

    Raises:
        ConnectorConfigError: A name or URI is not valid, or a channel is a multi connector itself.
    """

    __module__ = "psk.connectors.multi"  # pickles contain it
    __slots__ = ("__weakref__", "_routes")

    scheme: ClassVar[str] = "multi"

    def __init__(
        self,
        connectors: Mapping[str, Connector | str | tuple[Connector | str, Policy]],
        *,
        open_child: Callable[[str], Connector] | None = None,
    ) -> None:
        children: list[Child] = []
        try:
            for name, channel, policy in _channels(connectors):
                children.append(Child(name, policy, channel, open_child or open_connector))
            format_uri(write_config(children))  # says now, not at the first proxy, if that is too long
            self._routes = Routes(children)
            self.__class__ = with_capabilities(type(self), children)
        except BaseException:
            for child in children:
                child.undo()
            raise

    @property
    def leaves_host(self) -> bool:
        """Whether bytes may leave this host's memory: unless no channel lets them."""
        return any(child.has("leaves_host") is not False for child in self._routes.children)

    @property
    def in_memory(self) -> bool:
        """Whether all channels are in this host's memory."""
        return all(child.has("in_memory") for child in self._routes.children)

    @property
    def durabilities(self) -> tuple[str, ...]:
        """What every channel can promise that objects put on this host may go to; opens them to ask."""
        promised = set(DURABILITIES)
        asked = False
        for child in self._routes.children:
            with suppress(ConnectorError):
                if child.policy.is_valid_on_host():
                    promised &= set(child.connector().durabilities)
                    asked = True
        return tuple(level for level in DURABILITIES if level in promised) if asked else DURABILITIES[:1]

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Key:
        """Put the payload into the first channel that takes it and has room; see `Connector.put`.

        Args:
            payload: What to store.
            ttl: As of the channel.
            timeout: Seconds for all attempts together.
            hints: `subset_tags` and `superset_tags` are matched with the policies; all are passed on.

        Raises:
            ConnectorError: No policy takes it, or as of the channel.
        """
        left = shared_time(timeout)
        full: list[ChannelFullError] = []
        for child in self._routes.takers(payload.nbytes, hints):
            connector = child.connector()
            try:
                return child.named(connector.put(payload, ttl=ttl, timeout=left(), hints=hints), connector)
            except ChannelFullError as error:
                full.append(error)
        raise full[0]

    def get(self, key: Key, *, size: int | None = None, timeout: float | None = None) -> Frames | None:
        """Fetch the payload from the channel that the key names; see `Connector.get`."""
        return cast("Frames | None", self._routes.ask(key, timeout, None, "get", size=size))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the channel that the key names holds its object."""
        return bool(self._routes.ask(key, timeout, None, "exists"))

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object from the channel that the key names, or from each if it names none."""
        self._routes.ask(key, timeout, None, "evict")

    def close(self, timeout: float | None = None) -> None:
        """Close every channel that is open, whoever opened it."""
        left = shared_time(timeout)
        with ExitStack() as stack:
            for child in self._routes.children:
                stack.callback(lambda child: child.close(left()), child)

    def config(self) -> dict[str, object]:
        """Describe every channel with its policy."""
        return write_config(self._routes.children)

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, open_child: Callable[[str], Connector] | None = None) -> Self:
        """Rebuild the connector; a channel is opened when the first of its objects is needed."""
        return cls(read_config(config), open_child=open_child)

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Rebuild the connector as `from_config` does, with channels that are joined, not made."""
        return cls.from_config(config, open_child=join_connector)

    def __reduce__(self) -> tuple[object, ...]:
        return MultiConnector.from_config, (self.config(),)

    def __repr__(self) -> str:
        with on_demand:
            from psk.masking import masked_uri

        return f"MultiConnector({masked_uri(format_uri(self.config()))!r})"


def _channels(connectors: object) -> list[tuple[str, Connector | str, Policy]]:
    if not isinstance(connectors, Mapping) or not connectors:
        raise ConnectorConfigError(
            f"a multi connector cannot be made of {shown(connectors)}", remedy="give a dictionary of channels by name"
        )
    channels = []
    for name, given in connectors.items():
        channel, policy = given if isinstance(given, tuple) and len(given) == 2 else (given, Policy())  # noqa: PLR2004  a pair
        if not isinstance(policy, Policy) or not (isinstance(channel, str) or callable(getattr(channel, "config", 0))):
            raise ConnectorConfigError(
                f"the channel {shown(name)} of a multi connector cannot be {shown(given)}",
                remedy="give a connector or its URI, alone or as (connector, Policy(...))",
            )
        channels.append((check_name(name), channel, policy))
    return channels
