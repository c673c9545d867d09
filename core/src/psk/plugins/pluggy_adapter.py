"""Find and call the hooks of a plug-in by pluggy, which is imported here and nowhere else."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any

import pluggy

from psk.errors import BrokenPluginError
from psk.plugins import specs
from psk.plugins.specs import IMPLEMENTATION

if TYPE_CHECKING:
    from psk.plugins.discovery import InstalledPlugin


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


def hooks_of(module: Any, plugin: InstalledPlugin) -> Any:
    """Return the caller of a plug-in's hooks, checked against their specifications; each plug-in has its own.

    Raises:
        BrokenPluginError: It implements a hook that does not exist, or takes an argument that the hook does not have.
    """
    manager = _Manager("psk")
    manager.add_hookspecs(specs)
    try:
        manager.register(module, plugin.entry_point)
    except pluggy.PluginValidationError as error:
        raise BrokenPluginError(
            f"{plugin.title} has a hook that cannot be called: {' '.join(str(error).split())}",
            remedy="a hook takes the arguments of its specification, or fewer; see docs/plugins.md",
        ) from error
    known = sorted(name for name in vars(specs) if name.startswith("psk_"))
    for name, caller in vars(manager.hook).items():
        if name not in known and not all(found.optionalhook for found in caller.get_hookimpls()):
            raise BrokenPluginError(
                f"{plugin.title} implements a hook {name!r}, which this version of psk does not have",
                found=known,
                remedy="correct its name, or mark it with hookimpl(optionalhook=True)",
            )
    return manager.hook


def is_implemented(hooks: Any, hook: str) -> bool:
    """Tell whether a plug-in implements a hook."""
    return bool(getattr(hooks, hook).get_hookimpls())
