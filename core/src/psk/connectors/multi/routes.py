"""Which channel does an object go to, and which one is a key of?"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors.arguments import OBJECT_ID_DIGITS, deadline_after, shown, validate_key
from psk.connectors.multi.policy import tags
from psk.errors import CapabilityError, ConnectorError, InvalidArgumentError, InvalidKeyError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psk.connectors.arguments import Key
    from psk.connectors.contract import Connector
    from psk.connectors.multi.child import Child

T = TypeVar("T")


class Routes:
    """Know the channels of a multi connector, and what belongs to which.

    Args:
        children: The channels; of equal priorities the first comes first.
    """

    __slots__ = ("_by_name", "_by_priority", "children")

    def __init__(self, children: Sequence[Child]) -> None:
        self.children = tuple(children)
        self._by_name = {child.name: child for child in children}
        self._by_priority = sorted(children, key=lambda child: -child.policy.priority)

    def takers(self, nbytes: int, hints: Mapping[str, object] | None) -> list[Child]:
        """Give the channels that take a payload, the one with the highest priority first.

        Raises:
            ConnectorError: There is none; names each channel with its policy.
            InvalidArgumentError: The tags in the hints are no list of texts.
        """
        subset, superset = _tags_in(hints) if hints else ((), ())
        found = [
            child
            for child in self._by_priority
            if child.policy.is_valid(size_bytes=nbytes, subset_tags=subset, superset_tags=superset)
            and child.policy.is_valid_on_host()
        ]
        if not found:
            raise self._nobody(f"a payload of {nbytes} bytes with subset_tags={subset} and superset_tags={superset}")
        return found

    def taker_of_any_size(self) -> Child:
        """Give the channel for an object of unknown size: the first that takes the largest and the smallest ones.

        Raises:
            ConnectorError: No channel takes objects without tags.
        """
        found = [
            child
            for child in self._by_priority
            if child.policy.is_valid(subset_tags=(), superset_tags=()) and child.policy.is_valid_on_host()
        ]
        if not found:
            raise self._nobody("an object without tags, which is not there yet")
        return max(found, key=lambda child: (child.policy.max_size_bytes, -child.policy.min_size_bytes))

    def locate(self, key: object) -> list[tuple[Child, Key]]:
        """Give the channel that a key names, with the key it has there.

        A key that names none may be of any channel: then each is given.

        Raises:
            InvalidKeyError: It is no key, or names no channel of these.
        """
        valid = validate_key(key)
        if len(valid) == OBJECT_ID_DIGITS:
            return [(child, valid) for child in self._by_priority]
        object_id, where = valid[:OBJECT_ID_DIGITS], valid[OBJECT_ID_DIGITS + 1 :]
        name, tilde, rest = where.partition("~")
        child = self._by_name.get(name)
        if child is None:
            raise InvalidKeyError(
                f"the key {shown(key)} names a channel that this multi connector does not have",
                found=self._by_name,
                remedy="get it through the connector that made it",
            )
        return [(child, f"{object_id}@{rest}" if tilde else object_id)]

    def first(
        self, key: object, timeout: float | None, ask: Callable[[Connector, Key, float | None], T | None]
    ) -> T | None:
        """Ask the channels that may hold an object, until one has an answer.

        Args:
            key: The object.
            timeout: Seconds for all of them together; None leaves each its own default.
            ask: Called with connector, key there and seconds; gives None if the object is not there.

        Raises:
            ConnectorError: None had an answer, and not all could be asked.
        """
        located = self.locate(key)
        if len(located) == 1:
            child, inner = located[0]
            return ask(child.connector(), inner, timeout)
        left = shared_time(timeout)
        failure: ConnectorError | None = None
        for child, inner in located:
            try:
                answer = ask(child.connector(), inner, left())
            except InvalidKeyError:  # of a channel whose own keys all name a place: it made none like this
                continue
            except ConnectorError as error:
                failure = failure or error
            else:
                if answer is not None:
                    return answer
        if failure is not None:
            raise failure
        return None

    def _nobody(self, what: str) -> ConnectorError:
        return ConnectorError(
            f"no channel of this multi connector takes {what}",
            found=[f"{child.name}: {child.policy}" for child in self.children],
            remedy="add a channel whose policy does, or change the tags given in hints=",
        )


def _tags_in(hints: Mapping[str, object]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    subset, superset = hints.get("subset_tags", ()), hints.get("superset_tags", ())
    return tags("subset_tags", subset, InvalidArgumentError), tags("superset_tags", superset, InvalidArgumentError)


def shared_time(timeout: float | None) -> Callable[[], float | None]:
    """Give what tells how many seconds are left of a timeout; None stays None.

    Raises:
        InvalidArgumentError: The timeout makes no sense.
    """
    if timeout is None:
        return lambda: None
    deadline = deadline_after(timeout, 0)
    return lambda: max(deadline - time.monotonic(), 0.0)


def able(connector: Connector, power: Any) -> Any:
    """Give the connector if it has a power.

    Capabilities are decided by class before a channel is opened; a channel that was not installed then may lack one.

    Raises:
        CapabilityError: It has not.
    """
    if isinstance(connector, power):
        return connector
    raise CapabilityError(
        f"the channel {connector.scheme!r} of a multi connector lacks {power.__name__}",
        remedy="do it on the other channels only",
    )
