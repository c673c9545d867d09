"""Import by name, never by a name that came from outside; report what cannot be imported as an error of psk."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, Final

from psk.errors import PskError, ShortageError

if TYPE_CHECKING:
    from types import TracebackType


def import_target(target: str) -> Any:
    """Import `module:attribute`, or a whole `module`, named by psk itself or by an entry point.

    Raises:
        ImportError: There is no such module or attribute.
        Exception: Whatever the module raises.
    """
    module, _, attribute = target.partition(":")
    __import__(module)  # importlib takes longer to load than what most processes import by name
    found: Any = sys.modules[module]
    try:
        for name in attribute.split(".") if attribute else ():
            found = getattr(found, name)
    except AttributeError as error:
        raise ImportError(f"module {module!r} has no {attribute!r}") from error
    return found


def shortage(error: ImportError | OSError) -> ShortageError:
    """Build the error for a module that cannot be imported when a call needs it."""
    return ShortageError(
        f"cannot import a module that this call needs: {error}",
        remedy="repair the installation"
        if isinstance(error, ModuleNotFoundError)
        else "raise the limits of open files and memory (ulimit -n, ulimit -v)",
    )


class _OnDemand:
    """Turn the failure of an import inside a function into an error of psk."""

    def __enter__(self) -> None:
        pass

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, ImportError | OSError) and not isinstance(error, PskError):
            raise shortage(error) from error


on_demand: Final = _OnDemand()
"""`with on_demand:` around an import within a function: ShortageError instead of ImportError or OSError."""
