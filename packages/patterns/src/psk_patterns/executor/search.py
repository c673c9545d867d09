"""What in an argument or a result shall be proxied, and what refers to an object in a store already?"""

from __future__ import annotations

import concurrent.futures
from typing import TYPE_CHECKING, Any

from psk.errors import InvalidArgumentError
from psk_patterns.futures import Future
from psk_patterns.partial import PLAIN, Selection, is_proxy
from psk_patterns.policies import ProxyNever
from psk_patterns.traversal import is_structure, leaves

if TYPE_CHECKING:
    from collections.abc import Callable


class Search(Selection):
    """What a policy chooses at any depth of one or several values.

    A structure can be chosen whole, unless there are proxies or futures in it, each of which has a way of its own.

    Args:
        policy: Chooses.
        look_at: Called with each proxy and each future; what it returns takes its place, and is looked at by the
            policy.
    """

    def __init__(self, policy: Callable[[Any], bool], look_at: Callable[[Any], Any]) -> None:
        super().__init__(self._suits)
        self._policy = policy
        self._look_at = look_at
        self._chooses_nothing = type(policy) is ProxyNever

    def mark_whole_or_parts(self, value: Any) -> Any:
        """Do as `mark`, and take a structure that contains itself for a single object."""
        if _is_plain(value) and (self._chooses_nothing or not self._chooses_any(value)):
            return value  # for looking into a million numbers takes a second
        try:
            return self.mark(value)
        except InvalidArgumentError:
            return self.choose(value) if self._policy(value) else value

    def note(self, value: Any) -> Any:
        """Give the mark of an object if it is chosen, else what stands for it."""
        return super().note(self._look_at(value) if is_reference(value) else value)

    def _suits(self, value: Any) -> bool:
        if not self._policy(value) or is_task_future(value):
            return False
        return _is_plain(value) or not is_structure(value) or not any(map(is_reference, leaves(value)))

    def _chooses_any(self, value: Any) -> bool:
        return self._policy(value) or (type(value) in {list, tuple} and any(map(self._policy, value)))


def is_reference(value: Any) -> bool:
    """Tell whether something is a proxy, a store-backed future or a task's future; nothing is resolved."""
    return is_proxy(value) or is_task_future(value) or issubclass(type(value), Future)


def is_task_future(value: Any) -> bool:
    """Tell whether something is the future of a task, of whatever executor; nothing is resolved."""
    return issubclass(type(value), concurrent.futures.Future)


def _is_plain(value: Any) -> bool:
    """Tell quickly of most values in which there is nothing to find that there is not, however many they are."""
    cls = type(value)
    return cls in PLAIN or (cls in {list, tuple} and PLAIN.issuperset(map(type, value)))
