"""Can a connector be closed, described and opened again elsewhere? Numbers as in docs/contract.md."""

from __future__ import annotations

from contextlib import closing
from copy import copy
from typing import TYPE_CHECKING, Any

from psk.connectors import DURABILITIES, format_uri, open_connector
from psk.errors import ConnectorClosedError, ConnectorConfigError
from psk_testing.checking.outcome import Check, checks, require, require_error

if TYPE_CHECKING:
    from psk_testing.checking.channel import Channel

REBUILDING: list[Check] = []


@checks(REBUILDING, "C35", "config is flat, plain, and names the scheme", fix="give text, numbers and booleans only")
def _config(channel: Channel) -> None:
    config = channel.connector.config()
    require(isinstance(config, dict) and isinstance(config.get("scheme"), str), f"config() gives {config!r:.200}")
    odd = [name for name, value in config.items() if not isinstance(value, str | int | float | bool)]
    require(not odd, f"{', '.join(odd)} is not plain")


@checks(REBUILDING, "C36", "from_config and its URI open the same channel", fix="put all that says where into config()")
def _same_channel(channel: Channel) -> None:
    payload = channel.payload()
    key = channel.put(payload)
    config = channel.connector.config()
    _expect_object(type(channel.connector).from_config(config), key, payload.tobytes(), "from_config(config())")
    _expect_object(open_connector(format_uri(config)), key, payload.tobytes(), format_uri(config))


@checks(REBUILDING, "C36", "an unknown option is refused", fix="read options with psk.connectors.read_options")
def _unknown_option(channel: Channel) -> None:
    config = {**channel.connector.config(), "unheard_of": "7"}

    def open_it() -> None:
        type(channel.connector).from_config(config).close()

    require_error(ConnectorConfigError, open_it, "the option unheard_of=7")


@checks(
    REBUILDING, "C37", "pickling it pickles its configuration", fix="define __reduce__ with from_config and config()"
)
def _reduced(channel: Channel) -> None:
    with closing(copy(channel.connector)) as other:
        require(other.config() == channel.connector.config(), "a copy has another configuration")


@checks(REBUILDING, "C34", "close deletes nothing and may be repeated", fix="release only what this instance opened")
def _closing(channel: Channel) -> None:
    payload = channel.payload()
    other: Any = type(channel.connector).from_config(channel.connector.config())
    key = other.put(payload, timeout=channel.timeout)
    other.close()
    other.close()
    require(channel.get(key) == payload.tobytes(), "the object went with the instance that put it")


@checks(REBUILDING, "C10", "calls after close raise ConnectorClosedError", fix="check it first in every method")
def _closed(channel: Channel) -> None:
    other: Any = type(channel.connector).from_config(channel.connector.config())
    other.close()
    payload = channel.payload()
    require_error(ConnectorClosedError, lambda: other.put(payload), "put after close")
    require_error(ConnectorClosedError, lambda: other.get(payload.key), "get after close")


@checks(REBUILDING, "C32", "durabilities are of the known ones", fix=f"give a tuple of {', '.join(DURABILITIES)}")
def _durabilities(channel: Channel) -> None:
    promised = channel.connector.durabilities
    require(promised and set(promised) <= set(DURABILITIES), f"it promises {promised!r:.100}")


@checks(
    REBUILDING, "C33", "leaves_host is True or False", fix="set it on the class: True if other hosts may see the bytes"
)
def _leaves_host(channel: Channel) -> None:
    require(isinstance(channel.connector.leaves_host, bool), f"it is {channel.connector.leaves_host!r:.100}")


def _expect_object(other: Any, key: str, expected: bytes, opened_by: str) -> None:
    from psk_testing.checking.channel import bytes_of

    with closing(other):
        frames = other.get(key)
        require(
            frames is not None and bytes_of(frames) == expected, f"opened by {opened_by} it does not find the object"
        )
