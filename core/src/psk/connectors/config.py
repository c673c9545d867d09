"""Convert the configuration of a connector to a URI and back, and read its options.

A URI is `scheme://authority/path?option=value`, canonically. The grammar is RFC 3986 without fragments and without
passwords: a URI travels in every proxy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors.arguments import shown
from psk.errors import ConnectorConfigError, PskError
from psk.plugins.importing import on_demand
from psk.wire import shown_uri

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

N = TypeVar("N", int, float)

LONGEST_URI = 2048

_split = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31})://"
    r"(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
).fullmatch
is_scheme = re.compile(r"[a-z][a-z0-9+.-]{0,31}").fullmatch
_is_option = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch
_is_plain = re.compile(r"[A-Za-z0-9._~/:@+,=!-]*").fullmatch
# Compiled when needed, which is rare: compiling takes as long as importing a small module.
_WRITTEN = r"(?:[A-Za-z0-9._~/:@+,=!$'()*;\[\]-]|%[0-9A-Fa-f]{2})*"
_has_control = re.compile(r"[\x00-\x1f\x7f]").search

_FORM = "write it as scheme://authority/path?option=value, other characters percent-encoded"
_PARTS = ("scheme", "authority", "path")

_EXAMPLES = {"authority": "authority", "path": "/the/path"}
"""Examples of the parts of a URI that have no option name."""
_COUNT_LIMIT = 1 << 63
_FLAGS: dict[object, bool] = {True: True, False: False, "true": True, "True": True, "false": False, "False": False}


def format_uri(config: Mapping[str, object]) -> str:
    """Write a configuration as a URI; equal configurations give equal URIs.

    Args:
        config: `scheme`, perhaps `authority` and `path`, and options whose values are text, numbers or
            booleans; an option that is None is omitted.

    Raises:
        ConnectorConfigError: It cannot be written as a URI.
    """
    scheme = config.get("scheme")
    if not (isinstance(scheme, str) and is_scheme(scheme)):
        raise ConnectorConfigError(f"{shown(scheme)} is not a scheme of a URI", remedy="name a connector, like 'file'")
    authority = _checked("authority", _plain_text("authority", config.get("authority", "")))
    path = _checked("path", _plain_text("path", config.get("path", "")))
    uri = f"{scheme}://{_escaped(authority).replace('/', '%2F')}{_escaped(path)}"
    options = sorted((name, value) for name, value in config.items() if name not in _PARTS and value is not None)
    mark = "?"
    for name, value in options:
        if not _is_option(name):
            raise ConnectorConfigError(f"{shown(name)} is not a name of an option", remedy="use a-z, 0-9 and _")
        uri += f"{mark}{name}={_escaped(_checked(name, _plain_text(name, value)))}"
        mark = "&"
    if len(uri) > LONGEST_URI:
        raise ConnectorConfigError(
            f"the URI of a {scheme!r} connector would have {len(uri)} characters",
            remedy=f"shorten it to {LONGEST_URI}",
        )
    return uri


def parse_uri(uri: str) -> dict[str, object]:
    """Read a URI as a configuration: the inverse of `format_uri`, every value as text.

    Raises:
        ConnectorConfigError: It is not a URI of the form above, has more than 2048 characters, or contains a
            password, control characters, a dot segment, or an option twice.
    """
    if not isinstance(uri, str) or len(uri) > LONGEST_URI or not (found := _split(uri)):
        raise _no_uri(uri)
    config: dict[str, object] = {"scheme": found["scheme"].lower()}
    for name in ("authority", "path"):
        if written := found[name]:
            config[name] = _checked(name, _unescaped(name, written))
    query = found["query"]
    for pair in query.split("&") if query else ():
        name, equals, written = pair.partition("=")
        if not (equals and _is_option(name)) or name in _PARTS or name in config:
            # Its value is not echoed: it may be a password under a wrong name.
            raise ConnectorConfigError(
                f"{shown(name) if equals else 'a text without ='} is not an option of a URI, or is given twice",
                remedy="write ?name=value&other=value",
            )
        config[name] = _checked(name, _unescaped(name, written))
    return config


def _no_uri(text: object) -> ConnectorConfigError:
    """Build the error for a text that is not a URI, with the URI that was probably meant."""
    masked = shown_uri(text) if isinstance(text, str | bytes) else text
    meant = _meant(text) if isinstance(text, str) and masked == text else ""
    return ConnectorConfigError(
        f"{shown(masked)} is not the URI of a connector", remedy=f"write {meant!r} if that is meant" if meant else _FORM
    )


def _meant(text: str) -> str:
    """Guess the URI behind a path, the name of a scheme, or a URI without its slashes; "" for anything else."""
    import os

    from psk.plugins.builtin import FIRST_PARTY

    scheme, colon, rest = text.partition(":")
    if text in {"local", "shm", *FIRST_PARTY}:
        return f"{text}://"
    if colon and is_scheme(scheme) and scheme != "file":
        return "" if rest.startswith("//") else f"{scheme}://{rest.lstrip('/')}"
    path = rest if colon and scheme == "file" else text
    if not path.strip() or path.startswith("//") or text in {"file", "multi"}:
        return ""
    path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  pathlib costs 10 ms of import
    try:
        return format_uri({"scheme": "file", "path": path})
    except ConnectorConfigError:
        return ""


def _checked(name: str, value: str) -> str:
    if _has_control(value):
        raise ConnectorConfigError(f"the {name} of a URI has control characters", remedy=_FORM)
    if name == "authority":
        before, at, _ = value.rpartition("@")
        if at and ":" in before:
            # Not echoed: the message would reveal the password.
            raise ConnectorConfigError(
                "a URI contains a password, which every proxy would carry",
                remedy="give credentials through the environment or a file, as the connector's guide says",
            )
    if name == "path" and value:
        segments = value.split("/")
        if segments[0] or "." in segments or ".." in segments:
            raise ConnectorConfigError(
                f"the path {shown(shown_uri(value))} of a URI is relative or has dot segments",
                remedy="write the absolute path",
            )
    return value


def _plain_text(name: str, value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    raise ConnectorConfigError(
        f"the option {shown(name)} cannot be written in a URI: it is {shown(value)}",
        remedy="use text, a number or a boolean",
    )


def _escaped(value: str) -> str:
    if _is_plain(value):
        return value
    with on_demand:
        from urllib.parse import quote

    # Linux paths are bytes: bytes that are not UTF-8 arrive as surrogates and must be kept.
    return quote(value, safe="/:@+,=!", encoding="utf-8", errors="surrogateescape")


def _unescaped(name: str, written: str) -> str:
    if _is_plain(written):
        return written
    if not re.fullmatch(_WRITTEN, written):
        raise ConnectorConfigError(f"the {name} of a URI is not correctly percent-encoded", remedy=_FORM)
    with on_demand:
        from urllib.parse import unquote

    return unquote(written, encoding="utf-8", errors="surrogateescape")


def read_options(
    config: Mapping[str, object],
    *,
    scheme: str,
    readers: Mapping[str, Callable[[object], object]],
    required: tuple[str, ...] = (),
) -> dict[str, object]:
    """Check a configuration and convert its values.

    Args:
        config: What `config()` or `parse_uri` returned; `scheme` may be missing.
        scheme: The scheme it must be for.
        readers: For each known option a function that converts its value, or raises ValueError or TypeError with a
            description of valid values.
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
            part = name if name in _EXAMPLES else f"option {name!r}"
            raise ConnectorConfigError(
                f"the {part} of a {scheme!r} URI cannot be {shown(value)}", remedy=f"give {error}"
            ) from None
    for name in required:
        if name not in options:
            raise ConnectorConfigError(
                f"the connector {scheme!r} needs the option {name!r}",
                found=sorted(options),
                remedy=f"write {scheme}://{_EXAMPLES[name]}" if name in _EXAMPLES else f"add {name}=... to the URI",
            )
    return options


def as_text(value: object) -> str:
    """Read an option that is text."""
    if isinstance(value, str) and value:
        return value
    message = "a text that is not empty"
    raise ValueError(message)


def as_seconds(value: object) -> float:
    """Read an option that is a positive number of seconds."""
    return _number(value, float, lambda number: 0 < number < float("inf"), "a positive number of seconds")


def as_count(value: object) -> int:
    """Read an option that is a whole number of 0 or more."""
    return _number(value, int, lambda number: 0 <= number < _COUNT_LIMIT, "a whole number of 0 or more")


def _number(value: object, kind: Callable[[Any], N], fits: Callable[[N], bool], wanted: str) -> N:
    """Read a number, perhaps given as text; raise ValueError with `wanted` if it does not fit."""
    try:
        number = kind(value) if isinstance(value, str | int | kind) and not isinstance(value, bool) else None
    except ValueError:  # also text with thousands of digits
        number = None
    if number is None or not fits(number):
        raise ValueError(wanted)
    return number


def as_flag(value: object) -> bool:
    """Read an option that is on or off."""
    flag = _FLAGS.get(value) if isinstance(value, bool | str) else None
    if flag is None:
        message = "true or false"
        raise ValueError(message)
    return flag
