"""Which channels does a list of URI patterns trust?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import format_uri, parse_uri, shown
from psk.errors import StoreConfigError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Iterable


def read_patterns(owner: str, trusted: Any) -> tuple[str, ...] | None:
    """Read the value of an option `trusted`.

    Args:
        owner: Whose option it is, for the error.
        trusted: An iterable of URI patterns, or None.

    Returns:
        The patterns in an order of their own, each once, since only their set matters; None for None.

    Raises:
        StoreConfigError: It is something else.
    """
    if trusted is None:
        return None
    if isinstance(trusted, str):
        raise StoreConfigError(
            f"{owner} trusted is one text, not a list of patterns", remedy="pass a list, be it of this text alone"
        )
    try:
        patterns = {*trusted}
    except TypeError:
        patterns = {None}
    if not all(isinstance(pattern, str) and pattern for pattern in patterns):
        raise StoreConfigError(
            f"{owner} trusted cannot be {shown(trusted)}",
            remedy="give a list of URI patterns, such as ['file:///scratch/project/*'], or None",
        )
    return tuple(sorted(patterns))


def is_trusted(uri: str, patterns: Iterable[str], own: str = "") -> bool:
    """Tell whether a URI is that of a trusted channel, or of several of which each is.

    Args:
        uri: The URI that a proxy names.
        patterns: URI patterns as of `fnmatch`, of which one must match the URI in its canonical form.
        own: The URI of a channel that is trusted besides, in its canonical form.

    Raises:
        ConnectorConfigError: It is no URI of a connector.
    """
    with on_demand:
        from fnmatch import fnmatchcase  # only processes with a list need it

    config = parse_uri(uri)
    # A pattern for a directory must not be left through the directory above it.
    if ".." in str(config.get("path", "")).split("/"):
        return False
    canonical = format_uri(config)
    if canonical == own:
        return True
    if config["scheme"] == "multi":  # a mere list of channels: each of them must be trusted
        children = [str(child) for option, child in config.items() if option.startswith("to")]
        return bool(children) and all(is_trusted(child, patterns, own) for child in children)
    return any(fnmatchcase(canonical, pattern) for pattern in patterns)
