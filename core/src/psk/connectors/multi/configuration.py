"""Write the channels of a multi connector and their policies as one flat configuration, and read it.

`authority` lists the names in order; the options of the channel at place N, from 1, end in N:
`multi://memory,disk?max1=65536&to1=local://x&to2=file:///scratch`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from psk.connectors.arguments import shown
from psk.connectors.config import as_text, read_options
from psk.connectors.multi.policy import DEFAULTS, Policy
from psk.errors import ConnectorConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from psk.connectors.multi.routes import Child

OPTIONS: Final = {
    "priority": "priority",
    "host": "host_pattern",
    "min": "min_size_bytes",
    "max": "max_size_bytes",
    "subset": "subset_tags",
    "superset": "superset_tags",
}
"""The argument of `Policy` behind each option."""

_is_name = re.compile(r"[a-z0-9-]{1,16}").fullmatch


def check_name(name: object) -> str:
    """Return the name of a channel.

    Raises:
        ConnectorConfigError: It is not 1 to 16 of `a-z 0-9 -`.
    """
    if isinstance(name, str) and _is_name(name):
        return name
    raise ConnectorConfigError(
        f"{shown(name)} is not a name of a channel of a multi connector",
        remedy="use 1 to 16 lower-case letters, digits and -",
    )


def write_config(children: Iterable[Child]) -> dict[str, object]:
    """Describe channels as a flat configuration, without the defaults of policies."""
    children = list(children)
    config: dict[str, object] = {"scheme": "multi", "authority": ",".join(child.name for child in children)}
    for place, child in enumerate(children, 1):
        config[f"to{place}"] = child.uri
        for option, argument in OPTIONS.items():
            value = getattr(child.policy, argument)
            if value != DEFAULTS[argument]:
                config[f"{option}{place}"] = value if isinstance(value, int) else _join(value)
    return config


def read_config(config: Mapping[str, object]) -> dict[str, tuple[str, Policy]]:
    """Read what `write_config` wrote, from plain values or from text.

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
        readers |= {f"{option}{place}": _READERS[option] for option in OPTIONS}
    values = read_options(config, scheme="multi", readers=readers, required=tuple(f"to{place}" for place in places))
    channels = {}
    for place, name in zip(places, names, strict=True):
        given = {argument: values.get(f"{option}{place}") for option, argument in OPTIONS.items()}
        policy = Policy(**{argument: value for argument, value in given.items() if value is not None})  # type: ignore[arg-type]  # as _READERS returned them
        channels[name] = (str(values[f"to{place}"]), policy)
    return channels


def _names(value: object) -> list[str]:
    names = [check_name(name) for name in as_text(value).split(",")]
    if len(set(names)) == len(names):
        return names
    message = "each name once"
    raise ValueError(message)


def _whole(value: object) -> int:
    message = "a whole number"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(message)
    try:
        return int(value)
    except ValueError:  # also what has thousands of digits
        raise ValueError(message) from None


def _join(values: Iterable[str]) -> str:
    # Commas separate, so the few within a value are written as in a URI.
    return ",".join(value.replace("%", "%25").replace(",", "%2C") for value in values)


def _split(value: object) -> list[str]:
    return [part.replace("%2C", ",").replace("%25", "%") for part in as_text(value).split(",")]


_READERS: Final[dict[str, Callable[[object], object]]] = {
    option: _split if option in {"host", "subset", "superset"} else _whole for option in OPTIONS
}
