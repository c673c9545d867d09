"""How is a configuration written on one line? As `scheme://authority/path?option=value`, canonically.

The grammar is RFC 3986 without fragments and without passwords: a URI travels in every proxy.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from psk.connectors.key import shown
from psk.errors import ConnectorConfigError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Mapping

LONGEST_URI = 2048

_split = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]{0,31})://"
    r"(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?(?:\?(?P<query>[^#]*))?"
).fullmatch
is_scheme = re.compile(r"[a-z][a-z0-9+.-]{0,31}").fullmatch
_is_option = re.compile(r"[a-z][a-z0-9_]{0,63}").fullmatch
_is_plain = re.compile(r"[A-Za-z0-9._~/:@+,=!-]*").fullmatch
# Compiled when it is needed, which is seldom: a compilation takes as long as a small module.
_WRITTEN = r"(?:[A-Za-z0-9._~/:@+,=!$'()*;\[\]-]|%[0-9A-Fa-f]{2})*"
_has_control = re.compile(r"[\x00-\x1f\x7f]").search

_FORM = "write it as scheme://authority/path?option=value, other characters percent-encoded"
_PARTS = ("scheme", "authority", "path")


def format_uri(config: Mapping[str, object]) -> str:
    """Write a configuration as a URI; equal configurations give equal URIs.

    Args:
        config: `scheme`, perhaps `authority` and `path`, and options whose values are text, numbers or
            booleans; an option that is None is left out.

    Raises:
        ConnectorConfigError: It cannot be written as a URI.
    """
    scheme = config.get("scheme")
    if not (isinstance(scheme, str) and is_scheme(scheme)):
        raise ConnectorConfigError(f"{shown(scheme)} is no scheme of a URI", remedy="name a connector, like 'file'")
    authority = _checked("authority", _plain_text("authority", config.get("authority", "")))
    path = _checked("path", _plain_text("path", config.get("path", "")))
    uri = f"{scheme}://{_escaped(authority).replace('/', '%2F')}{_escaped(path)}"
    options = sorted((name, value) for name, value in config.items() if name not in _PARTS and value is not None)
    mark = "?"
    for name, value in options:
        if not _is_option(name):
            raise ConnectorConfigError(f"{shown(name)} is no name of an option", remedy="use a-z, 0-9 and _")
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
        ConnectorConfigError: It is no URI of the form above, is longer than 2048 characters, holds a
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
                f"{shown(name) if equals else 'a text without ='} is no option of a URI, or is there twice",
                remedy="write ?name=value&other=value",
            )
        config[name] = _checked(name, _unescaped(name, written))
    return config


def _no_uri(text: object) -> ConnectorConfigError:
    """Build the error for what should be a URI, with the one that was probably meant."""
    with on_demand:
        from psk.wire.masking import masked_uri

    masked = masked_uri(text) if isinstance(text, str | bytes) else text
    meant = _meant(text) if isinstance(text, str) and masked == text and len(text) <= LONGEST_URI else None
    return ConnectorConfigError(
        f"{shown(masked)} is no URI of a connector", remedy=f"write {meant!r} if that is meant" if meant else _FORM
    )


def _meant(text: str) -> str | None:
    """Guess the URI behind a path, the name of a scheme, or a URI without its slashes."""
    import os

    from psk.plugins.builtin import FIRST_PARTY

    scheme, colon, rest = text.partition(":")
    if text in {"local", "shm", *FIRST_PARTY}:
        return f"{text}://"
    if colon and is_scheme(scheme) and scheme != "file":
        return None if rest.startswith("//") else f"{scheme}://{rest.lstrip('/')}"
    path = rest if colon and scheme == "file" else text
    if not path.strip() or path.startswith("//") or text in {"file", "multi"}:
        return None
    path = os.path.abspath(os.path.expanduser(path))  # noqa: PTH100, PTH111  pathlib costs 10 ms of import
    try:
        return format_uri({"scheme": "file", "path": path})
    except ConnectorConfigError:
        return None


def _checked(name: str, value: str) -> str:
    if _has_control(value):
        raise ConnectorConfigError(f"the {name} of a URI has control characters", remedy=_FORM)
    if name == "authority":
        before, at, _ = value.rpartition("@")
        if at and ":" in before:
            # Not echoed: the message would carry the password further.
            raise ConnectorConfigError(
                "a URI holds a password, and would carry it in every proxy",
                remedy="give credentials through the environment or a file, as the connector's guide says",
            )
    if name == "path" and value:
        segments = value.split("/")
        if segments[0] or "." in segments or ".." in segments:
            with on_demand:
                from psk.wire.masking import masked_uri

            raise ConnectorConfigError(
                f"the path {shown(masked_uri(value))} of a URI is relative or has dot segments",
                remedy="write the absolute path that is meant",
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

    # Linux paths are bytes: what is not UTF-8 in them arrives as surrogates and must travel too.
    return quote(value, safe="/:@+,=!", encoding="utf-8", errors="surrogateescape")


def _unescaped(name: str, written: str) -> str:
    if _is_plain(written):
        return written
    if not re.fullmatch(_WRITTEN, written):
        raise ConnectorConfigError(f"the {name} of a URI is not percent-encoded properly", remedy=_FORM)
    with on_demand:
        from urllib.parse import unquote

    return unquote(written, encoding="utf-8", errors="surrogateescape")
