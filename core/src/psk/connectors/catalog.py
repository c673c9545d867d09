"""Find the connector that serves a scheme: one of the core's own, or that of the plug-in with this name."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from psk.connectors.arguments import shown
from psk.connectors.config import is_scheme, parse_uri
from psk.errors import UnknownConnectorError, UnknownPluginError
from psk.plugins.builtin import FIRST_PARTY, TARGETS
from psk.plugins.importing import import_target, on_demand
from psk.wire import is_distribution_name, shown_uri

if TYPE_CHECKING:
    from psk.connectors.contract import Connector

BUILT_IN = TARGETS["connector"]
"""The core's own connectors by scheme. They are looked up first, so that finding them scans nothing."""

# The process that resolves a proxy cannot choose the scheme, and only the producer knows the distribution.
_ASK = (
    "install the distribution that provides it (`psk plugins list` names it where the scheme works), "
    "or correct the scheme"
)
METHODS = ("put", "get", "exists", "evict", "close", "uri", "config", "from_config")


def find_connector(scheme: str) -> type[Connector]:
    """Return the connector class that serves a scheme; loads the plug-in that has it, and no other.

    Raises:
        UnknownConnectorError: None is installed here. The error lists the known schemes, and names the distribution to
            install if psk has one.
        PluginError: A plug-in serves it but cannot be used. The error names its distribution and the reason.
    """
    known = isinstance(scheme, str)
    target = BUILT_IN.get(scheme) if known else None
    if target is not None:
        with on_demand:
            return cast("type[Connector]", import_target(target))
    if not (known and is_scheme(scheme)):
        raise _unknown(scheme, ())
    from psk.plugins import load_target

    try:
        found = load_target("connector", scheme)
    except UnknownPluginError as error:
        raise _unknown(scheme, error.found) from None
    return _checked(scheme, found)


def open_connector(uri: str) -> Connector:
    """Open the connector that a URI describes.

    Raises:
        ConnectorConfigError: The URI or one of its options is not valid.
        UnknownConnectorError: No connector serves its scheme here.
        PluginError: The plug-in that serves it cannot be used.
    """
    config = parse_uri(uri)
    return find_connector(str(config["scheme"])).from_config(config)


def join_connector(uri: str) -> Connector:
    """Open the connector that a URI describes for a reader, which creates nothing; errors as of `open_connector`.

    A connector whose `from_config` creates something also has a class method `join`, which does not.

    Raises:
        ChannelUnavailableError: The channel does not exist, or cannot be reached from here.
    """
    config = parse_uri(uri)
    kind = find_connector(str(config["scheme"]))
    # A subclass that overrides only `from_config` is opened by that: the `join` that it inherits ignores it.
    names = (name for base in kind.__mro__ for name in ("join", "from_config") if name in vars(base))
    return cast("Connector", getattr(kind, next(names, "from_config"))(config))


@lru_cache
def provider_of(uri: str) -> str:
    """Return the name of the distribution that provides the connector of a URI's scheme, without importing anything.

    Returns:
        An empty string if every psk knows it (psk-core's own and first-party connectors), or if it is not known here.
    """
    name = uri.partition(":")[0].partition("+")[0]
    if name in BUILT_IN or name in FIRST_PARTY:
        return ""
    from psk.plugins.discovery import others  # a scan, which the schemes above do not need

    claims = {record.distribution for record in others() if record.entry_point == f"connector.{name}"}
    return next(filter(is_distribution_name, claims), "") if len(claims) == 1 else ""


def _unknown(scheme: object, installed: tuple[str, ...]) -> UnknownConnectorError:
    distribution = FIRST_PARTY.get(scheme.partition("+")[0]) if isinstance(scheme, str) else None
    # A URI that was given as a scheme may contain a password.
    asked = shown_uri(scheme) if isinstance(scheme, str | bytes) else scheme
    return UnknownConnectorError(
        f"no connector for {shown(asked)} is installed here",
        remedy=f"pip install {distribution}" if distribution else _ASK,
        found=sorted({*BUILT_IN, *installed}),
    )


def _checked(scheme: str, found: Any) -> type[Connector]:
    from psk.plugins import broken

    if not isinstance(found, type):
        raise broken("connector", scheme, f"names {shown(found)} as its connector, which is not a class")
    if missing := [name for name in (*METHODS, "scheme") if getattr(found, name, None) is None]:
        raise broken(
            "connector",
            scheme,
            f"names {found.__qualname__} as its connector, which lacks {', '.join(missing)}",
            remedy="its author must keep the contract: docs/contract.md, psk-testing",
        )
    return cast("type[Connector]", found)
