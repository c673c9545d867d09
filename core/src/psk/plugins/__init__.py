"""How does psk find what others add to it? One group of entry points, hooks, and one door through which they load.

`installed()` lists without importing, `load(kind, name)` and `load_target(kind, name)` import exactly one plug-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from psk.plugins.descriptions import CodecPlugin, CommandPlugin, ConnectorPlugin
    from psk.plugins.discovery import installed
    from psk.plugins.loading import broken, find, load, load_target
    from psk.plugins.marker import hookimpl
    from psk.plugins.record import InstalledPlugin

__all__ = [
    "CodecPlugin",
    "CommandPlugin",
    "ConnectorPlugin",
    "InstalledPlugin",
    "broken",
    "find",
    "hookimpl",
    "installed",
    "load",
    "load_target",
]


def __getattr__(name: str) -> Any:
    # Whoever opens a store passes here and needs none of it; a plug-in needs the marker and the descriptions.
    with on_demand:
        return _find(name)


def _find(name: str) -> Any:
    if name == "hookimpl":
        from psk.plugins.marker import hookimpl

        return hookimpl
    if name == "installed":
        from psk.plugins.discovery import installed

        return installed
    if name == "InstalledPlugin":
        from psk.plugins.record import InstalledPlugin

        return InstalledPlugin
    if name in {"CodecPlugin", "CommandPlugin", "ConnectorPlugin"}:
        from psk.plugins import descriptions

        return getattr(descriptions, name)
    if name in __all__:
        from psk.plugins import loading

        return getattr(loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
