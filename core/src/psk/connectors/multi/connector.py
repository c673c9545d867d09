"""Route each object to one of several channels, and keep the contract with the channels there are.

The configuration is flat. `authority` lists the names in order; the options of the channel at place N, from 1, end in
N: `multi://memory,disk?max1=65536&to1=local://x&to2=file:///scratch`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, ClassVar, Final, Self, cast

from psk.connectors.arguments import shown
from psk.connectors.catalog import join_connector, open_connector
from psk.connectors.config import as_text, format_uri, read_options
from psk.connectors.contract import DURABILITIES
from psk.connectors.mixins import ContextManaged, Rebuilding
from psk.connectors.multi.capabilities import shared_methods
from psk.connectors.multi.policy import Policy
from psk.connectors.multi.routes import Child, Routes, shared_time
from psk.errors import ConnectorConfigError, ConnectorError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.wire import Frames, Payload

_is_name = re.compile(r"[a-z0-9-]{1,16}").fullmatch


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
            format_uri(_write_config(children))  # says now, not at the first proxy, if that is too long
            self._routes = Routes(children)
            # `isinstance` asks an instance, too, what it can do.
            vars(self).update(shared_methods(self._routes))
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
        """The durabilities that all channels for objects of this host share; opens these channels."""
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
        return self._routes.put(payload, ttl=ttl, timeout=timeout, hints=hints)

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
        """Close every channel that is open, also those that were passed in open."""
        left = shared_time(timeout)
        with ExitStack() as stack:
            for child in self._routes.children:
                stack.callback(lambda child: child.close(left()), child)

    def config(self) -> dict[str, object]:
        """Describe every channel with its policy."""
        return _write_config(self._routes.children)

    @classmethod
    def from_config(cls, config: Mapping[str, object], *, open_child: Callable[[str], Connector] | None = None) -> Self:
        """Rebuild the connector; a channel is opened when the first of its objects is needed."""
        return cls(_read_config(config), open_child=open_child)

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Rebuild the connector as `from_config` does, with channels that are joined, not made."""
        return cls.from_config(config, open_child=join_connector)

    def __repr__(self) -> str:
        with on_demand:
            from psk.credentials import masked_uri

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
        channels.append((_name(name), channel, policy))
    return channels


def _name(name: object) -> str:
    if isinstance(name, str) and _is_name(name):
        return name
    raise ConnectorConfigError(
        f"{shown(name)} is not a name of a channel of a multi connector",
        remedy="use 1 to 16 lower-case letters, digits and -",
    )


def _write_config(children: Iterable[Child]) -> dict[str, object]:
    """Describe channels as a flat configuration, without the defaults of policies."""
    children = list(children)
    config: dict[str, object] = {"scheme": "multi", "authority": ",".join(child.name for child in children)}
    for place, child in enumerate(children, 1):
        config[f"to{place}"] = child.uri
        for argument, value in child.policy.changes().items():
            config[f"{_option(argument)}{place}"] = value if isinstance(value, int) else _join(value)
    return config


def _read_config(config: Mapping[str, object]) -> dict[str, tuple[str, Policy]]:
    """Read what `_write_config` wrote, from plain values or from text.

    Returns:
        URI and policy of each channel, by name and in order.

    Raises:
        ConnectorConfigError: An option is unknown, missing or not valid; the known ones are listed.
    """
    readers: dict[str, Callable[[object], object]] = {"authority": _names}
    known = read_options(
        {"authority": config["authority"]} if "authority" in config else {},
        scheme="multi",
        readers=readers,
        required=("authority",),
    )
    names: list[str] = known["authority"]  # type: ignore[assignment]  # as _names returned it
    places = range(1, len(names) + 1)
    for place in places:
        readers[f"to{place}"] = as_text
        readers |= {f"{_option(argument)}{place}": _READERS[argument] for argument in Policy._fields}
    values = read_options(config, scheme="multi", readers=readers, required=tuple(f"to{place}" for place in places))
    channels = {}
    for place, name in zip(places, names, strict=True):
        given = {argument: values.get(f"{_option(argument)}{place}") for argument in Policy._fields}
        policy = Policy(**{argument: value for argument, value in given.items() if value is not None})  # type: ignore[arg-type]  # as _READERS returned them
        channels[name] = (str(values[f"to{place}"]), policy)
    return channels


def _names(value: object) -> list[str]:
    names = [_name(name) for name in as_text(value).split(",")]
    if len(set(names)) == len(names):
        return names
    message = "each name once"
    raise ValueError(message)


def _option(argument: str) -> str:
    """Return the option for an argument of `Policy`: its first word."""
    return argument.partition("_")[0]


def _number(value: object) -> object:
    """Read a number that is given as text; `Policy` checks it."""
    try:
        return int(value) if isinstance(value, str) else value
    except ValueError:  # also what has thousands of digits
        message = "a whole number"
        raise ValueError(message) from None


def _join(values: Iterable[str]) -> str:
    # Commas separate, so the few within a value are written as in a URI.
    return ",".join(value.replace("%", "%25").replace(",", "%2C") for value in values)


def _split(value: object) -> list[str]:
    return [part.replace("%2C", ",").replace("%25", "%") for part in as_text(value).split(",")]


_READERS: Final[dict[str, Callable[[object], object]]] = {
    argument: _split if argument in {"host_pattern", "subset_tags", "superset_tags"} else _number
    for argument in Policy._fields
}
