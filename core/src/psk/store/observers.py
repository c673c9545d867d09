"""Which observers did plug-ins bring, and how do they hear of something?"""

from __future__ import annotations

from typing import Any

from psk.plugins import installed, load
from psk.plugins.discovery import NOT_ALLOWED
from psk.unraisable import report_ignored


class Observer:
    """What calls the hooks of one plug-in. One that raises is reported once for each hook, and disturbs nothing.

    Args:
        entry_point: Names it in reports.
        hooks: What `psk.plugins.load` gave.
    """

    __slots__ = ("_entry_point", "_hooks", "_reported")

    def __init__(self, entry_point: str, hooks: Any) -> None:
        self._entry_point = entry_point
        self._hooks = hooks
        self._reported: set[str] = set()

    def tell(self, hook: str, **event: Any) -> None:
        """Call the plug-in's implementation of a hook, if it has one."""
        try:
            getattr(self._hooks, hook)(**event)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  an observer's trouble is not that of the store's user
            if hook not in self._reported:
                self._reported.add(hook)
                report_ignored(f"{self._entry_point}: {hook}", "Exception ignored in a plug-in of psk")


def get_observers() -> tuple[Observer, ...]:
    """Give the observers of this process, loaded when it first asks; one that cannot be loaded is reported."""
    if not _loaded:
        _loaded.append(_load())
    return _loaded[0]


def _load() -> tuple[Observer, ...]:
    observers = []
    seen = set()
    for plugin in installed():
        if plugin.kind != "observer" or plugin.status == NOT_ALLOWED or plugin.name in seen:
            continue
        seen.add(plugin.name)
        try:
            observers += [Observer(plugin.entry_point, hooks) for hooks in load(plugin.kind, plugin.name)]
        except Exception:  # noqa: BLE001  whatever is wrong with an observer, a store opens
            report_ignored(plugin.entry_point, "psk goes on without an observer")
    return tuple(observers)


_loaded: list[tuple[Observer, ...]] = []
