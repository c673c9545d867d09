"""The door for everything that other distributions add: entry points, hooks, and loading by kind and name.

`installed()` lists without importing; `load(kind, name)` and `load_target(kind, name)` import exactly one plug-in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.plugins.importing import import_target, on_demand

if TYPE_CHECKING:
    from psk.plugins.builtin import FIRST_PARTY
    from psk.plugins.discovery import InstalledPlugin, broken, find, installed, load, load_target
    from psk.plugins.specs import (
        KINDS,
        BrokerPlugin,
        CodecPlugin,
        CommandPlugin,
        ConnectorPlugin,
        EnginePlugin,
        TransportPlugin,
        hookimpl,
    )

#: Loaded when first named: opening a store needs none of it, and a plug-in's module only the mark and descriptions.
_HOMES = {"FIRST_PARTY": "builtin"} | dict.fromkeys(
    ("InstalledPlugin", "broken", "find", "installed", "load", "load_target"), "discovery"
)

__all__ = [
    "FIRST_PARTY",
    "KINDS",
    "BrokerPlugin",
    "CodecPlugin",
    "CommandPlugin",
    "ConnectorPlugin",
    "EnginePlugin",
    "InstalledPlugin",
    "TransportPlugin",
    "broken",
    "find",
    "hookimpl",
    "installed",
    "load",
    "load_target",
]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    with on_demand:
        return import_target(f"{__name__}.{_HOMES.get(name, 'specs')}:{name}")
