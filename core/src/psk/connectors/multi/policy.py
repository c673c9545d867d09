"""Decide which objects a channel of a multi connector takes, and write channels with their policies as a configuration.

The configuration is flat. `authority` lists the names in order; the options of the channel at place N, from 1, end in
N: `multi://memory,disk?max1=65536&to1=local://x&to2=file:///scratch`.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

from psk.connectors.arguments import shown
from psk.connectors.config import as_text, read_options
from psk.errors import ConnectorConfigError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST_TEXT = 256
_is_name = re.compile(r"[a-z0-9-]{1,16}").fullmatch
_has_control = re.compile(r"[\x00-\x1f\x7f]").search


class _Values(NamedTuple):
    priority: int
    host_pattern: tuple[str, ...] | None
    min_size_bytes: int
    max_size_bytes: int
    subset_tags: tuple[str, ...]
    superset_tags: tuple[str, ...]


class Policy(_Values):
    """Say which objects a channel takes; immutable. Names and meaning are those of ProxyStore.

    Args:
        priority: Of several channels that take an object, the one with the highest priority gets it.
        host_pattern: Regular expressions (one, or several), one of which must match the whole name of the host that
            puts; None takes objects from every host.
        min_size_bytes: Size of the smallest payload taken.
        max_size_bytes: Size of the largest payload taken.
        subset_tags: An object is taken only if its `subset_tags` are all among these.
        superset_tags: An object is taken only if these are all among its `superset_tags`.

    Raises:
        ConnectorConfigError: A value is not valid.
    """

    __slots__ = ()

    def __new__(  # noqa: PLR0917  names and places are those that users know from ProxyStore
        cls,
        priority: int = 0,
        host_pattern: str | Iterable[str] | None = None,
        min_size_bytes: int = 0,
        max_size_bytes: int = sys.maxsize,
        subset_tags: Iterable[str] = (),
        superset_tags: Iterable[str] = (),
    ) -> Self:
        """Check the values."""
        self = super().__new__(
            cls,
            _whole("priority", priority, at_least=-sys.maxsize),
            None if host_pattern is None else _patterns(host_pattern),
            _whole("min_size_bytes", min_size_bytes),
            _whole("max_size_bytes", max_size_bytes),
            tags("subset_tags", subset_tags, ConnectorConfigError),
            tags("superset_tags", superset_tags, ConnectorConfigError),
        )
        if self.min_size_bytes > self.max_size_bytes:
            raise ConnectorConfigError(
                f"a policy takes nothing from {min_size_bytes} to {max_size_bytes} bytes",
                remedy="give a min_size_bytes that is not above max_size_bytes",
            )
        return self

    def is_valid(
        self,
        *,
        size_bytes: int | None = None,
        subset_tags: Iterable[str] | None = None,
        superset_tags: Iterable[str] | None = None,
    ) -> bool:
        """Tell whether an object may go here; a criterion that is None is ignored.

        Args:
            size_bytes: Size of its payload.
            subset_tags: Tags that must all be among this policy's `subset_tags`.
            superset_tags: Tags that must include all of this policy's `superset_tags`.
        """
        return (
            (size_bytes is None or self.min_size_bytes <= size_bytes <= self.max_size_bytes)
            and (subset_tags is None or set(subset_tags).issubset(self.subset_tags))
            and (superset_tags is None or set(superset_tags).issuperset(self.superset_tags))
        )

    def is_valid_on_host(self) -> bool:
        """Tell whether objects put on this host may go here."""
        if self.host_pattern is None:
            return True
        with on_demand:
            from socket import gethostname  # costs 3 ms, and few policies ask

        host = gethostname()
        return any(re.fullmatch(pattern, host) for pattern in self.host_pattern)

    def as_dict(self) -> dict[str, Any]:
        """Return every argument by name; `Policy(**policy.as_dict())` equals the policy."""
        return self._asdict()

    def changes(self) -> dict[str, Any]:
        """Return the arguments that differ from their defaults, by name."""
        defaults = Policy().as_dict()
        return {name: value for name, value in self.as_dict().items() if value != defaults[name]}

    def __repr__(self) -> str:
        return f"Policy({', '.join(f'{name}={value!r}' for name, value in self.changes().items())})"


def _whole(name: str, value: object, *, at_least: int = 0) -> int:
    """Return a number of a policy.

    Raises:
        ConnectorConfigError: It is not a whole number in bounds.
    """
    if isinstance(value, int) and not isinstance(value, bool) and at_least <= value <= sys.maxsize:
        return value
    raise ConnectorConfigError(
        f"{shown(value)} is not a valid {name} of a policy",
        remedy=f"give a whole number from {at_least} to {sys.maxsize}",
    )


def tags(name: str, value: object, error: Callable[..., Exception]) -> tuple[str, ...]:
    """Return tags in the order given.

    Raises:
        Exception: Of the type `error`, if they are not printable texts, or are one text instead of several.
    """
    if isinstance(value, Iterable) and not isinstance(value, str | bytes):
        given = tuple(value)
        if all(map(_is_text, given)):
            return given
    raise error(
        f"{shown(value)} cannot be the {name} of an object or a policy",
        remedy=f"give a list of texts of 1 to {LONGEST_TEXT} characters, as in ['fast']",
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and not _has_control(value)


def _patterns(value: str | Iterable[str]) -> tuple[str, ...]:
    patterns = tags("host_pattern", [value] if isinstance(value, str) else value, ConnectorConfigError)
    for pattern in patterns:
        try:
            re.compile(pattern)
        except (re.error, RecursionError, OverflowError) as error:
            raise ConnectorConfigError(
                f"the host_pattern {shown(pattern)} is not a regular expression: {error}",
                remedy="escape it with re.escape if a plain name is meant",
            ) from None
    if not patterns:
        raise ConnectorConfigError("an empty host_pattern takes no host", remedy="give None to take every host")
    return patterns


def check_name(name: object) -> str:
    """Return the name of a channel, if it is valid; raise ConnectorConfigError otherwise."""
    if isinstance(name, str) and _is_name(name):
        return name
    raise ConnectorConfigError(
        f"{shown(name)} is not a name of a channel of a multi connector",
        remedy="use 1 to 16 lower-case letters, digits and -",
    )


def write_config(channels: Mapping[str, tuple[str, Policy]]) -> dict[str, object]:
    """Describe channels as a flat configuration, without the defaults of their policies.

    Args:
        channels: URI and policy of each channel, by name and in order.
    """
    config: dict[str, object] = {"scheme": "multi", "authority": ",".join(channels)}
    for place, (uri, policy) in enumerate(channels.values(), 1):
        config[f"to{place}"] = uri
        for argument, value in policy.changes().items():
            config[f"{_OPTIONS[argument][0]}{place}"] = value if isinstance(value, int) else _join(value)
    return config


def read_config(config: Mapping[str, object]) -> dict[str, tuple[str, Policy]]:
    """Read what `write_config` wrote, from plain values or from text.

    Returns:
        URI and policy of each channel, by name and in order.

    Raises:
        ConnectorConfigError: An option is unknown, missing or not valid; the known ones are listed.
    """
    readers: dict[str, Callable[[object], object]] = {"authority": _names}
    authority = {name: config[name] for name in readers if name in config}
    names: Any = read_options(authority, scheme="multi", readers=readers, required=("authority",))["authority"]
    uris = [f"to{place}" for place in range(1, len(names) + 1)]
    for place, uri in enumerate(uris, 1):
        readers |= {uri: as_text} | {f"{option}{place}": reader for option, reader in _OPTIONS.values()}
    values: dict[str, Any] = read_options(config, scheme="multi", readers=readers, required=tuple(uris))
    channels = {}
    for place, name in enumerate(names, 1):
        given = {argument: values.get(f"{option}{place}") for argument, (option, _) in _OPTIONS.items()}
        policy = Policy(**{argument: value for argument, value in given.items() if value is not None})
        channels[name] = (values[f"to{place}"], policy)
    return channels


def _names(value: object) -> list[str]:
    names = [check_name(name) for name in as_text(value).split(",")]
    if len(set(names)) == len(names):
        return names
    message = "each name once"
    raise ValueError(message)


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


_OPTIONS: Final[dict[str, tuple[str, Callable[[object], Any]]]] = {
    "priority": ("priority", _number),
    "host_pattern": ("host", _split),
    "min_size_bytes": ("min", _number),
    "max_size_bytes": ("max", _number),
    "subset_tags": ("subset", _split),
    "superset_tags": ("superset", _split),
}
"""For each argument of `Policy` its name in a URI, before the place of its channel, and how its value is read."""
