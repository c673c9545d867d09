"""Which options does a configuration give a connector? Text from a URI and plain values are read alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk.connectors.key import shown
from psk.errors import ConnectorConfigError, PskError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_PARTS = {"authority": "authority", "path": "/the/path"}
"""How the parts of a URI that have no name in it are written."""
_MOST = 1 << 63
_MOST_DIGITS = 20
_FLAGS: dict[object, bool] = {True: True, False: False, "true": True, "True": True, "false": False, "False": False}


def read_options(
    config: Mapping[str, object],
    *,
    scheme: str,
    readers: Mapping[str, Callable[[object], object]],
    required: tuple[str, ...] = (),
) -> dict[str, object]:
    """Check a configuration and convert its values.

    Args:
        config: What `config()` or `parse_uri` returned; `scheme` may be left out.
        scheme: The scheme it must be for.
        readers: For each known option, how to read its value; ValueError or TypeError says what it should be.
        required: Options that must be given.

    Returns:
        The options that were given, by name, without `scheme`.

    Raises:
        ConnectorConfigError: Another scheme, an unknown or missing option, or a value that was refused.
    """
    given = config.get("scheme", scheme)
    if given != scheme:
        raise ConnectorConfigError(
            f"a configuration for {shown(given)} was given to the connector for {scheme!r}",
            remedy="open it with psk.connectors.open_connector",
        )
    options: dict[str, object] = {}
    for name, value in config.items():
        if name == "scheme":
            continue
        reader = readers.get(name) if isinstance(name, str) else None
        if reader is None:
            raise ConnectorConfigError(
                f"the connector {scheme!r} has no option {shown(name)}",
                found=sorted(readers),
                remedy="remove it or correct its name",
            )
        try:
            options[name] = reader(value)
        except PskError:
            raise
        except (ValueError, TypeError) as error:
            part = (
                f"the {name} of a {scheme!r} URI"
                if name in _PARTS
                else f"the option {name!r} of the connector {scheme!r}"
            )
            raise ConnectorConfigError(
                f"{part} cannot be {shown(value)}",
                remedy=f"give {error}",
            ) from None
    for name in required:
        if name not in options:
            raise ConnectorConfigError(
                f"the connector {scheme!r} needs the option {name!r}",
                found=sorted(options),
                remedy=f"write {scheme}://{_PARTS[name]}" if name in _PARTS else f"add {name}=... to the URI",
            )
    return options


def as_text(value: object) -> str:
    """Read an option that is text."""
    if isinstance(value, str) and value:
        return value
    message = "a text that is not empty"
    raise TypeError(message)


def as_seconds(value: object) -> float:
    """Read an option that is a positive number of seconds."""
    message = "a positive number of seconds"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise TypeError(message)
    try:
        number = float(value)
    except ValueError:
        raise ValueError(message) from None
    if not 0 < number < float("inf"):
        raise ValueError(message)
    return number


def as_count(value: object) -> int:
    """Read an option that is a whole number of 0 or more."""
    message = "a whole number of 0 or more"
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise TypeError(message)
    if isinstance(value, str) and not (value.isascii() and value.isdigit() and len(value) < _MOST_DIGITS):
        raise ValueError(message)
    number = int(value)
    if not 0 <= number < _MOST:
        raise ValueError(message)
    return number


def as_flag(value: object) -> bool:
    """Read an option that is on or off."""
    flag = _FLAGS.get(value) if isinstance(value, bool | str) else None
    if flag is None:
        message = "true or false"
        raise ValueError(message)
    return flag
