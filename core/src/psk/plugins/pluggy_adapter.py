"""Find and call the hooks of a plug-in by pluggy, which is imported here and nowhere else."""

from __future__ import annotations

import inspect
from typing import Any

import pluggy

from psk.errors import BrokenPluginError
from psk.plugins import specs
from psk.plugins.specs import IMPLEMENTATION

# Marked here, so that a plug-in can describe what it adds without pluggy.
for _name, _hook in vars(specs).items():
    if _name.startswith("psk_"):
        pluggy.HookspecMarker("psk")(_hook)


class _Manager(pluggy.PluginManager):
    """Finds hooks by looking at attributes, where pluggy up to 1.6 would evaluate each of them."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        function = inspect.getattr_static(plugin, name, None)
        if isinstance(function, staticmethod | classmethod):
            function = function.__func__
        if not inspect.isfunction(function):
            return None
        options = inspect.getattr_static(function, IMPLEMENTATION, None)
        return options if isinstance(options, dict) else None


def hooks_of(module: Any, title: str) -> Any:
    """Return the caller of a plug-in's hooks, checked against their specifications; each plug-in has its own.

    Args:
        module: Where the plug-in implements its hooks.
        title: The plug-in and its distribution, for messages.

    Raises:
        BrokenPluginError: It implements a hook that does not exist, or takes an argument that the hook does not have.
    """
    manager = _Manager("psk")
    manager.add_hookspecs(specs)
    try:
        manager.register(module, title)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        raise BrokenPluginError(
            f"{title} has a hook that cannot be called: {' '.join(str(error).split())}",
            remedy="its hooks must have names and arguments of those that docs/plugins.md lists",
        ) from error
    return manager.hook
