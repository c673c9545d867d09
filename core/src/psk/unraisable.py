"""Report exceptions that no caller is there to catch."""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["report_ignored"]


def report_ignored(source: object, message: str, error: BaseException | None = None) -> None:
    """Hand an exception to `sys.unraisablehook`; never raises.

    Args:
        source: The function or object that the exception comes from.
        message: What was ignored, or not done.
        error: The exception; None is the one that is being handled.
    """
    error = sys.exc_info()[1] if error is None else error
    hook: Callable[[Any], object] = sys.unraisablehook
    if hook is sys.__unraisablehook__:
        _print_ignored(source, message, error)  # the interpreter's own takes only what the interpreter makes
        return
    from types import SimpleNamespace

    kind, trace = type(error), None if error is None else error.__traceback__
    with suppress(Exception):  # as the interpreter does with a hook that fails
        hook(SimpleNamespace(exc_type=kind, exc_value=error, exc_traceback=trace, err_msg=message, object=source))


def _print_ignored(source: object, message: str, error: BaseException | None) -> None:
    from traceback import format_exception

    with suppress(Exception):  # stderr may be closed or missing
        sys.stderr.write(f"{message}: {source!r}\n{''.join(format_exception(error))}")
