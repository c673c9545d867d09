"""How does a function say that it implements a hook? By one attribute, the same that pluggy's own marker sets."""

from __future__ import annotations

from typing import TYPE_CHECKING, overload

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., object])

IMPLEMENTATION = "psk_impl"
SPECIFICATION = "psk_spec"


@overload
def hookimpl(function: F) -> F: ...


@overload
def hookimpl(*, specname: str | None = None, optionalhook: bool = False) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None, *, specname: str | None = None, optionalhook: bool = False
) -> F | Callable[[F], F]:
    """Mark a function of a plug-in as the implementation of the hook whose name it has.

    `pluggy.HookimplMarker("psk")` does the same; this one needs nothing but psk.

    Args:
        function: The function, when used as `@hookimpl`.
        specname: Name of the hook, if the function is named otherwise.
        optionalhook: Let it pass where this version of psk has no such hook, instead of calling the plug-in broken.
    """

    def mark(marked: F) -> F:
        options = {
            "hookwrapper": False,
            "optionalhook": optionalhook,
            "specname": specname,
            "tryfirst": False,
            "trylast": False,
            "wrapper": False,
        }
        setattr(marked, IMPLEMENTATION, options)
        return marked

    return mark if function is None else mark(function)


def hookspec(function: F) -> F:
    """Mark a function of `psk.plugins.specs` as what a hook is called with and gives."""
    options = {"firstresult": False, "historic": False, "warn_on_impl": None, "warn_on_impl_args": None}
    setattr(function, SPECIFICATION, options)
    return function
