"""What does one plug-in bring, and if it cannot be imported or asked, why?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.errors import BrokenPluginError, PluginDependencyError
from psk.plugins.descriptions import CodecPlugin, CommandPlugin, ConnectorPlugin
from psk.plugins.importing import import_target
from psk.plugins.scanning import normalized
from psk.plugins.specs import OBSERVER_HOOKS

if TYPE_CHECKING:
    from psk.plugins.record import InstalledPlugin

HOOKS: dict[str, tuple[str, type[Any]]] = {
    "connector": ("psk_connectors", ConnectorPlugin),
    "codec": ("psk_codecs", CodecPlugin),
    "command": ("psk_commands", CommandPlugin),
}
"""By kind: which hook describes what a plug-in brings, and as what."""

LONGEST_CAUSE = 200


def describe(record: InstalledPlugin) -> tuple[Any, ...]:
    """Import a plug-in's module and ask the hook of its kind.

    Returns:
        What it describes; for an observer, what calls its hooks.

    Raises:
        BrokenPluginError: It cannot be imported, or is not what its kind must be.
        PluginDependencyError: It needs a module that is not installed.
    """
    from importlib import invalidate_caches

    invalidate_caches()  # it may have been installed since somebody looked
    module = import_part(record, record.value)
    try:
        from psk.plugins.hooks import hooks_of, is_implemented
    except ModuleNotFoundError as error:
        if error.name != "pluggy":
            raise
        raise PluginDependencyError(
            f"{record.title} needs pluggy, which is not installed",
            remedy=f"pip install pluggy; {record.distribution} should depend on it",
        ) from error
    hooks = hooks_of(module, record)
    if record.kind == "observer":
        if not any(is_implemented(hooks, hook) for hook in OBSERVER_HOOKS):
            raise _without_hook(record, OBSERVER_HOOKS)
        return (hooks,)
    hook, expected = HOOKS[record.kind]
    if not is_implemented(hooks, hook):
        raise _without_hook(record, (hook,))
    try:
        described = tuple(one for answer in getattr(hooks, hook)() for one in answer)
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"{record.title} cannot be used: its hook {hook} raised {_cause(error)}",
            remedy=f"upgrade or remove {record.distribution}, or tell its author",
        ) from error
    for one in described:
        if not isinstance(one, expected):
            raise BrokenPluginError(
                f"{record.title} gave {type(one).__qualname__} where its hook {hook} gives {expected.__name__}",
                remedy=f"upgrade or remove {record.distribution}, or tell its author",
            )
    return described


def import_part(record: InstalledPlugin, target: str) -> Any:
    """Import something that a plug-in names as `module:attribute`; errors as of `describe`."""
    try:
        return import_target(target)
    except ModuleNotFoundError as error:
        missing = error.name or ""
        own = target.partition(":")[0]
        if own.partition(".")[0] == missing.partition(".")[0] or not missing:
            raise BrokenPluginError(
                f"{record.title} has no module {missing or own!r}", remedy=f"reinstall {record.distribution}"
            ) from error
        raise PluginDependencyError(
            f"{record.title} needs the module {missing!r}, which is not installed",
            remedy=f"{_provider(record, missing)}; {record.distribution} should depend on it",
        ) from error
    except (Exception, SystemExit) as error:
        raise BrokenPluginError(
            f"{record.title} cannot be imported: {target.partition(':')[0]} raised {_cause(error)}",
            remedy=f"repair, upgrade or remove {record.distribution}",
        ) from error


def _provider(record: InstalledPlugin, module: str) -> str:
    wanted = normalized(module.partition(".")[0])
    for requirement in record.requires:
        name = requirement.split(";")[0].strip()
        for end in "[(<>=!~@ ":
            name = name.partition(end)[0]
        if normalized(name) == wanted:
            return f"pip install {name}"
    return "install what provides it"


def _without_hook(record: InstalledPlugin, hooks: tuple[str, ...]) -> BrokenPluginError:
    return BrokenPluginError(
        f"{record.title} implements none of the hooks of its kind in {record.value}",
        found=hooks,
        remedy="write a function of that name and mark it with psk.hookimpl",
    )


def _cause(error: BaseException) -> str:
    try:
        text = " ".join(str(error).split())
    except Exception:  # noqa: BLE001  an error of a plug-in's own may be unable to say what it is
        text = "which cannot be shown"
    return f"{type(error).__name__}: {text if len(text) <= LONGEST_CAUSE else text[:LONGEST_CAUSE] + '...'}"
