"""The outcome of a future, and how an exception travels as one."""

from __future__ import annotations

import os
import pickle
from platform import node
from traceback import format_exception
from typing import Any, Final, NamedTuple

from psk.errors import ChannelDataError
from psk_patterns.errors import FutureCancelledError, FutureError, ProducerDied, RemoteError

VALUE: Final = "value"
ERROR: Final = "error"
CANCELLED: Final = "cancelled"
DIED: Final = "died"
RELEASED: Final = "released"
KINDS: Final = (VALUE, ERROR, CANCELLED, DIED, RELEASED)

LONGEST_TRACEBACK: Final = 20_000
"""Characters of the producer's traceback that are sent; of longer ones the end, where the error is."""


class Outcome(NamedTuple):
    """The end of a future.

    Attributes:
        kind: One of `KINDS`.
        value: The result or the error; for the other kinds, the name of the process that wrote it.
    """

    kind: str
    value: Any

    @classmethod
    def of_error(cls, error: BaseException) -> Outcome:
        """Make the outcome of a failure."""
        return cls(ERROR, _SentError(error))

    def pack(self) -> tuple[str, str, Any]:
        """Return what is stored; each call differs, so that one of several writers of the same outcome loses."""
        return self.kind, os.urandom(8).hex(), self.value

    @classmethod
    def unpack(cls, stored: object, key: str) -> Outcome:
        """Read what `pack` returned.

        Raises:
            ChannelDataError: It is something else.
        """
        if type(stored) is tuple and len(stored) == 3 and stored[0] in KINDS:  # noqa: PLR2004  see `pack`
            kind, _, value = stored
            if (kind == VALUE) or isinstance(value, BaseException if kind == ERROR else str):
                return cls(kind, value)
        raise ChannelDataError(
            f"key {key} holds a {type(stored).__qualname__} that is not the outcome of a future",
            remedy="let only futures write to their keys",
        )

    def failure(self, name: str) -> BaseException | None:
        """Return the error that waiting callers get, or None for a value.

        Args:
            name: Names the future in messages.
        """
        if self.kind == VALUE:
            return None
        if self.kind == ERROR:
            error: BaseException = self.value
            if type(error) is RemoteError and name not in error.args[0]:  # made without knowing the name
                error.args = (f"{name} has no result: {error.args[0]}",)
            return error
        if self.kind == DIED:
            return ProducerDied(
                f"{name} has no result: {self.value}, which had claimed it, died or dropped it before it set one",
                remedy="find out what ended it (out of memory?), and submit the task again with a new future",
            )
        if self.kind == RELEASED:
            return released_error(name, self.value)
        return FutureCancelledError(f"{name} was cancelled by {self.value}", remedy="make a new future to try again")

    def open(self, name: str) -> Any:
        """Return the result or raise the error; `name` as in `failure`."""
        failure = self.failure(name)
        if failure is None:
            return self.value
        try:
            raise failure
        finally:
            del failure, self  # the error's traceback refers to this frame, which would make a cycle


class _SentError:
    """An exception in a form that can be pickled: the exception itself if pickle restores it, else a description.

    Args:
        error: The exception; its traceback travels as text.
    """

    __slots__ = ("data", "name", "text", "trace")

    def __init__(self, error: BaseException) -> None:
        self.name = type(error).__qualname__
        self.text = _text_of(error)
        self.trace = _traceback_of(error)
        self.data = _pickled(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_error, (self.data, self.name, self.text, self.trace)


def restore_error(data: bytes | None, name: str, text: str, trace: str) -> BaseException:
    """Rebuild an exception that was sent, as a RemoteError where its class is not available here."""
    error = None if data is None else _unpickled(data)
    if error is None:
        error = RemoteError(
            f"the producer failed with {name}: {text}", remedy="read the producer's traceback in this error's notes"
        )
    if trace:
        error.add_note(trace)
    return error


restore_error.__module__ = "psk_patterns.futures"  # pickles contain it


def _pickled(error: BaseException) -> bytes | None:
    """Pickle an exception, if unpickling restores its class."""
    try:
        data = pickle.dumps(error, 5)
        returned = pickle.loads(data)  # noqa: S301  made a moment ago
    except Exception:  # noqa: BLE001  whatever a user's class raises, it cannot be sent
        return None
    return data if type(returned) is type(error) else None


def _unpickled(data: bytes) -> BaseException | None:
    try:
        error = pickle.loads(data)  # noqa: S301  a part of a pickle that the store has let decode
    except Exception:  # noqa: BLE001  its class may be missing here, or of another version
        return None
    return error if isinstance(error, BaseException) else None


def _text_of(error: BaseException) -> str:
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001  a user's __str__ may raise anything
        return f"(its message is not available: {type(second).__qualname__})"


def _traceback_of(error: BaseException) -> str:
    if error.__traceback__ is None:
        return ""
    try:
        text = "".join(format_exception(error)).rstrip()
    except Exception:  # noqa: BLE001  as above
        return ""
    return f"In the producer, {this_process()}:\n{text[-LONGEST_TRACEBACK:]}"


def released_error(name: str, who: str) -> FutureError:
    """Describe a future that was released while it was still needed."""
    return FutureError(
        f"{name} was released by {who} before it had an outcome",
        remedy="release a future when no process uses it any more",
    )


def this_process() -> str:
    """Name this process in messages."""
    return f"process {os.getpid()} on {node()}"
