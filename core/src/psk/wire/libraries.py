"""Which loaded libraries have objects that travel better than by their own pickling, and how do those travel?"""

from __future__ import annotations

import copyreg
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    # Like `object.__reduce_ex__` of protocol 5. The functions it returns are named in pickles: they keep their names.
    Reducer = Callable[[Any], Any]

modules = sys.modules
registered: dict[type, Any] = copyreg.dispatch_table


def _of_numpy() -> dict[type, Reducer]:
    from psk.wire.arrays import reducers

    return reducers()


def _of_torch() -> dict[type, Reducer]:
    from psk.wire.tensors import reducers

    return reducers()


def _of_pyarrow() -> dict[type, Reducer]:
    from psk.wire.arrow import reducers

    return reducers()


def _of_polars() -> dict[type, Reducer]:
    from psk.wire.polars_frames import reducers

    return reducers()


def _of_pandas() -> dict[type, Reducer]:
    from psk.wire.pandas_columns import reducers

    return reducers()


# What is on the right imports the library on the left, so it is called only once somebody else has done so.
_SUPPORT = {
    "numpy": _of_numpy,
    "torch": _of_torch,
    "pyarrow": _of_pyarrow,
    "polars": _of_polars,
    "pandas": _of_pandas,
}


class Snapshot:
    """Hold the reducers that go with one state of this process; made anew when that has changed, never changed.

    Attributes:
        modules: How many modules were loaded; -1 if one of them was not loaded in full.
        registered: How many types were registered with copyreg.
        ours: The reducers of the libraries that were loaded.
        table: For `Pickler.dispatch_table`: these, and what is registered with copyreg, where a pickler with a table
            of its own does not look; None if there are none of ours.
    """

    __slots__ = ("modules", "ours", "registered", "table")

    def __init__(self) -> None:
        self.modules = len(modules)
        self.registered = len(registered)
        self.ours: dict[type, Reducer] = {}
        for name in _SUPPORT:
            if name not in modules:
                continue
            if is_loaded(name):
                self.ours.update(_reducers_of(name))
            else:
                self.modules = -1
        # Who registered a reducer for one of these types wants that one.
        self.table = {**self.ours, **dict.fromkeys(registered.copy(), _as_registered)} if self.ours else None


def renew() -> Snapshot:
    """Return, and keep as `current[0]`, a snapshot that is up to date."""
    current[0] = snapshot = Snapshot()
    return snapshot


def is_loaded(library: str) -> bool:
    """Tell whether somebody has imported a library, to the end.

    One whose import is going on may lack the types that matter, and to wait for it may be to wait for oneself.
    """
    module = modules.get(library)
    # The flag by which an import statement itself knows whether it has to wait.
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


def _reducers_of(library: str) -> dict[type, Reducer]:
    found = _found.get(library)
    if found is None:
        try:
            found = _SUPPORT[library]()
        except (ImportError, AttributeError):
            found = {}  # a version, or a stand-in, without what we need: pickled as everywhere else
        _found[library] = found
    return found


def _as_registered(obj: object) -> Any:
    # Looked up again, since it may be another function by now.
    return registered[type(obj)](obj)


_found: dict[str, dict[type, Reducer]] = {}
current = [Snapshot()]
"""Holds the last snapshot, which is out of date once the number of modules or of registered types has changed."""
