"""What does a worker run? The user's function, and then it packs up what that returned."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk_patterns.executor.parcel import pack
from psk_patterns.executor.references import take_over

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psk_patterns.executor.settings import Settings


class Task:
    """One call of a function, in whatever process.

    Args:
        function: The user's.
        settings: The executor's.
        lent: The keys of the arguments that the executor put for this call, and evicts after it.
        moves: Whether there are owned proxies among the arguments.
    """

    __slots__ = ("function", "lent", "moves", "settings")

    def __init__(self, function: Callable[..., Any], settings: Settings, lent: frozenset[str], *, moves: bool) -> None:
        self.function = function
        self.settings = settings
        self.lent = lent
        self.moves = moves

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and give its result as it is to be sent."""
        if self.lent:
            self.settings.check_reach()
        if self.moves and not self.settings.travelled:
            args, kwargs = take_over((args, kwargs))
        return pack(self._call(args, kwargs), self.settings, self.lent)

    def _call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.function(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_task, (type(self) is TaskOfMany, self.function, self.settings, self.lent, self.moves)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.function!r})"


class TaskOfMany(Task):
    """Several calls of a function, one after the other; called with the arguments of each, it gives their results."""

    __slots__ = ()

    def _call(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:  # noqa: ARG002  a mapped call has none
        return [self.function(*each) for each in args]


def restore_task(many: bool, function: Any, settings: Settings, lent: frozenset[str], moves: bool) -> Task:
    """Rebuild a task that was sent to a worker."""
    return (TaskOfMany if many else Task)(function, settings, lent, moves=moves)
