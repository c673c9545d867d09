"""Choose how pickles reduce the objects of libraries that this process has loaded."""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any, TypeAlias

from psk.errors import report_ignored
from psk.plugins.builtin import REDUCERS
from psk.plugins.importing import import_target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

Reducer: TypeAlias = "Callable[[Any], Any]"
"""Like `object.__reduce_ex__` of protocol 5. Pickles name the functions that it returns: they keep their names."""

modules = sys.modules
registered: dict[type, Any] = copyreg.dispatch_table
_targets = dict(REDUCERS)
"""By library: where the mapping from its types to their reducers is. It is imported once the library has been."""
_found: dict[str, Mapping[type, Reducer]] = {}


class Snapshot:
    """Hold the reducers for one state of this process. When the state changes, a new snapshot replaces it.

    Attributes:
        modules: How many modules were loaded; -1 if one of them was not loaded in full.
        registered: How many types were registered with copyreg.
        ours: The reducers of the libraries that were loaded.
        table: For `Pickler.dispatch_table`: `ours`, and what is registered with copyreg, which a pickler with its own
            table ignores; None if `ours` is empty.
    """

    __slots__ = ("modules", "ours", "registered", "table")

    def __init__(self) -> None:
        self.modules = len(modules)
        self.registered = len(registered)
        self.ours: dict[type, Reducer] = {}
        for library in list(_targets):  # a thread may add to it
            if library not in modules:
                continue
            if is_loaded(library):
                self.ours.update(_reducers_of(library))
            else:
                self.modules = -1
        # A reducer that the user registered for one of these types is used instead of ours.
        self.table = {**self.ours, **dict.fromkeys(registered.copy(), _as_registered)} if self.ours else None


def renew() -> Snapshot:
    """Return, and keep as `current[0]`, a snapshot that is up to date."""
    current[0] = snapshot = Snapshot()
    return snapshot


def add_reducers(targets: Mapping[str, str]) -> None:
    """Add what a plug-in brings: by library, `module:attribute` of a mapping from types to reducers."""
    for library, target in targets.items():
        _targets.setdefault(library, target)
    renew()


def is_loaded(library: str) -> bool:
    """Tell whether a library has been imported completely.

    While its import is in progress, the types in question may be missing, and waiting for it could deadlock.
    """
    module = modules.get(library)
    # The flag by which an import statement itself knows whether it has to wait.
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _reducers_of(library: str) -> Mapping[type, Reducer]:
    found = _found.get(library)
    if found is None:
        try:
            found = import_target(_targets[library])
        except (ImportError, AttributeError):
            found = {}  # a version, or another module of that name, without what is needed: pickled as usual
        except Exception:  # noqa: BLE001  # a plug-in's module raises anything, and others must be able to pickle
            found = {}
            report_ignored(_targets[library], "Exception ignored in a plug-in that reduces objects")
        _found[library] = found
    return found


def _as_registered(obj: object) -> Any:
    # Looked up again, since it may be another function by now.
    return registered[type(obj)](obj)


current = [Snapshot()]
"""The last snapshot. It is out of date once the number of modules or of registered types has changed."""
