"""How does a future end, and how does its end travel?"""

from __future__ import annotations

import os
import pickle
from platform import node
from traceback import format_exception
from typing import Any, Final

from psk.errors import ChannelDataError
from psk_patterns.errors import FutureCancelledError, FutureError, ProducerDied, RemoteError

VALUE: Final = "value"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
DIED: Final = "died"
RELEASED: Final = "released"
KINDS: Final = (VALUE, ERROR, CANCELLED, DIED, RELEASED)

LONGEST_TRACEBACK: Final = 20_000
"""Characters of the producer's traceback that travel; of longer ones the end, where the error is."""


class Outcome:
    """The one end of a future.

    Attributes:
        kind: One of `KINDS`.
        value: The result, or the error; for the other kinds, a text that says who did it.
    """

    __slots__ = ("kind", "value")

    def __init__(self, kind: str, value: Any) -> None:
        self.kind = kind
        self.value = value

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        """Make the outcome of a failure."""
        return cls(ERROR, Parcel(error))

    def pack(self) -> tuple[str, str, Any]:
        """Give what is stored; no two are alike, so that of several writers of the same outcome one loses."""
        return self.kind, os.urandom(8).hex(), self.value

    @classmethod
    def unpack(cls, stored: object, key: str) -> Outcome:
        """Read what `pack` gave.

        Raises:
            ChannelDataError: It is something else.
        """
        if type(stored) is tuple and len(stored) == 3 and stored[0] in KINDS:  # noqa: PLR2004  as `pack` gives
            kind, _, value = stored
            if (kind == VALUE) or isinstance(value, BaseException if kind == ERROR else str):
                return cls(kind, value)
        raise ChannelDataError(
            f"under key {key} stands a {type(stored).__qualname__} that is no outcome of a future",
            remedy="let only futures write to their keys",
        )

    def failure(self, name: str) -> BaseException | None:
        """Give the error that a waiter is to be told, None for a value.

        Args:
            name: Names the future in messages.
        """
        if self.kind == VALUE:
            return None
        if self.kind == ERROR:
            error: BaseException = self.value
            if type(error) is RemoteError and name not in error.args[0]:  # where it was made, nobody knew the name
                error.args = (f"{name} has no result: {error.args[0]}",)
            return error
        if self.kind == DIED:
            return ProducerDied(
                f"{name} has no result: {self.value}, which had claimed it, died first, or forgot it",
                remedy="look for what killed it (memory?), and submit the task again with a new future",
            )
        if self.kind == RELEASED:
            return released_error(name, self.value)
        return FutureCancelledError(f"{name} was cancelled by {self.value}", remedy="make a new future to try again")

    def open(self, name: str) -> Any:
        """Give the object, or raise the error that is there instead; `name` as of `failure`."""
        failure = self.failure(name)
        if failure is None:
            return self.value
        try:
            raise failure
        finally:
            del failure, self  # the error's traceback holds this frame: without this, a cycle


class Parcel:
    """Let an exception travel: itself if pickle brings it back, else what is known of it.

    Args:
        error: The exception; its traceback travels as text.
    """

    __slots__ = ("data", "name", "text", "trace")

    def __init__(self, error: BaseException) -> None:
        self.name = type(error).__qualname__
        self.text = _text_of(error)
        self.trace = _trace_of(error)
        self.data = _pickled(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_error, (self.data, self.name, self.text, self.trace)


def restore_error(data: bytes | None, name: str, text: str, trace: str) -> BaseException:
    """Rebuild an exception that travelled; a RemoteError where its class is not to be had here."""
    error = None if data is None else _unpickled(data)
    if error is None:
        error = RemoteError(
            f"the producer failed with {name}: {text}", remedy="its traceback there is in this error's notes"
        )
    if trace:
        error.add_note(trace)
    return error


def _pickled(error: BaseException) -> bytes | None:
    """Pickle an exception, if it comes back as what it was."""
    try:
        data = pickle.dumps(error, 5)
        returned = pickle.loads(data)  # noqa: S301  made a moment ago
    except Exception:  # noqa: BLE001  whatever a user's class raises, it cannot travel
        return None
    return data if type(returned) is type(error) else None


def _unpickled(data: bytes) -> BaseException | None:
    try:
        error = pickle.loads(data)  # noqa: S301  a part of a pickle that the store has let decode
    except Exception:  # noqa: BLE001  as above: its class may be missing here, or of another version
        return None
    return error if isinstance(error, BaseException) else None


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001  a user's __str__ raises anything
        return f"(its text cannot be had: {type(second).__qualname__})"


def _trace_of(error: BaseException) -> str:
    if error.__traceback__ is None:
        return ""
    try:
        text = "".join(format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001  as above
        return ""
    return f"In the producer, {whoami()}:\n{text[-LONGEST_TRACEBACK:]}"


def released_error(name: str, who: str) -> FutureError:
    """Say that a future was given up too early for somebody."""
    return FutureError(
        f"{name} was released by {who} before it had an outcome",
        remedy="release a future when all who use it are done",
    )


def whoami() -> str:
    """Name this process, for messages only."""
    return f"process {os.getpid()} on {node()}"
