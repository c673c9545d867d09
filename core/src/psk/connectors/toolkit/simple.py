"""Make a connector of five methods over bytes; everything else that the contract asks for is here."""

from __future__ import annotations

import errno
import sys
import threading
import time
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self, TypeVar

from psk.connectors.arguments import (
    DEFAULT_TIMEOUT,
    check_ttl,
    deadline_after,
    deadline_error,
    expired,
    is_plain_key,
    shown,
    validate_plain_key,
)
from psk.connectors.config import as_seconds, format_uri, read_options
from psk.connectors.duties import ContextManaged, Rebuilding, Reserving, is_same_payload
from psk.connectors.toolkit.foreign import within
from psk.credentials import masked_uri
from psk.errors import (
    CapabilityError,
    ChannelDataError,
    ChannelFullError,
    ChannelUnavailableError,
    ConnectorClosedError,
    KeyExistsError,
    PskError,
)
from psk.fork import after_fork_in_child
from psk.wire import Frames

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from inspect import Signature

    from psk.connectors.arguments import Key
    from psk.wire import Buffer, Payload

T = TypeVar("T")

_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_NOT_AN_OBJECT: Final = (errno.ELOOP, errno.ENXIO, errno.EISDIR)
"""Errors of opening a link without following it, a FIFO or socket, and a directory."""

_UNOPENED: Final = object()
_inherited: Final[list[Any]] = []
"""Channels of a parent process. They are never finalised here: that could end connections which the parent uses."""


class _Signature:
    """Give the class of a connector a signature with its options, for help texts and `psk plugins show`."""

    def __get__(self, instance: object, owner: type[SimpleConnector]) -> Signature:
        from inspect import Parameter, Signature  # takes 10 ms to import, and only help texts need it

        parameters = []
        for name, reader in owner.options.items():
            default = owner.defaults.get(name, Parameter.empty)
            kind = getattr(reader, "__annotations__", {}).get("return", Parameter.empty)
            parameters.append(Parameter(name, Parameter.KEYWORD_ONLY, default=default, annotation=kind))
        return Signature(parameters)


class SimpleConnector(ContextManaged, Rebuilding, Reserving):
    """Keep the contract over a channel that can place, fetch, find, remove and list named bytes.

    A subclass declares `scheme` and `options`, and defines `open` and the five methods `place`, `fetch`, `holds`,
    `remove` and `names`. It inherits the methods of `Connector`, `join`, SupportsReserve, SupportsList, pickling, and
    the behaviour after a fork. It does not override `__init__`.

    The five methods may raise any error of `psk.errors`. An exception of a type in `failures` becomes a
    `ChannelUnavailableError`, or a `ChannelFullError` or `ChannelDataError` if it is an `OSError` that says so.

    Args:
        **options: Values of the options by name, as plain values or as text.

    Attributes:
        scheme: The scheme of its URIs.
        leaves_host: Whether bytes leave this host's memory.
        durabilities: What `place` can promise, weakest first.
        options: For each option a function that reads its value, such as `as_text`; see `read_options`. `authority`
            and `path` are parts of the URI. `timeout` is always an option.
        defaults: Default values of options. An option without a default is required.
        failures: Types of exceptions by which the client library says that a call failed.
        keeps_deadlines: Whether `open`, `release` and the five methods end by their `deadline`. If not, each call runs
            in a thread of its own, which is abandoned when the time is up, and `place` gets a copy of the payload.
        settings: The values of the options in this instance.
    """

    scheme: ClassVar[str]
    leaves_host: bool = True
    durabilities: tuple[str, ...] = ("volatile",)
    options: ClassVar[Mapping[str, Callable[[object], object]]] = {"timeout": as_seconds}
    defaults: ClassVar[Mapping[str, object]] = {"timeout": DEFAULT_TIMEOUT}
    failures: ClassVar[tuple[type[Exception], ...]] = (OSError,)
    keeps_deadlines: ClassVar[bool] = False

    settings: dict[str, Any]
    __signature__ = _Signature()
    _channel: Any
    _lock: threading.RLock

    def __init_subclass__(cls, **more: Any) -> None:
        super().__init_subclass__(**more)
        cls.options = {**cls.options, **SimpleConnector.options}
        cls.defaults = {**SimpleConnector.defaults, **cls.defaults}

    def __init__(self, **options: object) -> None:
        self._begin(options, create=True)

    # Methods that a subclass defines.

    def open(self, deadline: float, *, create: bool) -> Any:
        """Open the channel, once in each process, and return what the other methods use as `self.channel`.

        A forked child opens the channel again: what its parent opened is not used, closed or finalised in the child.

        Args:
            deadline: When to end, by `time.monotonic`.
            create: Whether to create a channel that does not exist. If not, a missing one is a
                `ChannelUnavailableError`, or an exception in `failures`.
        """
        raise NotImplementedError

    def release(self, channel: Any, deadline: float) -> None:
        """Close what `open` returned; other threads may be using it. A finaliser leaves no time."""

    def place(self, name: str, data: Sequence[Buffer], deadline: float) -> bool:
        """Store bytes under a name in one atomic step, unless the name is taken.

        Args:
            name: 32 hexadecimal digits.
            data: The bytes, as buffers back to back: `b"".join(data)` are all of them.
            deadline: When to end, by `time.monotonic`.

        Returns:
            False if the name is taken; then nothing has changed.
        """
        raise NotImplementedError

    def fetch(self, name: str, deadline: float) -> Buffer | None:
        """Return the bytes of a name; None if there are none."""
        raise NotImplementedError

    def holds(self, name: str, deadline: float) -> bool:
        """Tell whether there are bytes under a name."""
        raise NotImplementedError

    def remove(self, name: str, deadline: float) -> bool:
        """Remove a name and its bytes; tell whether they were there."""
        raise NotImplementedError

    def names(self, deadline: float) -> Iterable[str]:
        """Return all names; those that are not keys are ignored."""
        raise NotImplementedError

    # Methods that it inherits.

    @property
    def channel(self) -> Any:
        """The result of `open` in this process.

        Raises:
            ConnectorClosedError: This instance is closed.
        """
        self.check_open()
        if self._channel is _UNOPENED:  # in a forked child
            with self._lock:
                if self._channel is _UNOPENED:
                    self._channel = self.open(create=False, deadline=time.monotonic() + self._timeout)
        return self._channel

    def put(
        self,
        payload: Payload,
        *,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,  # noqa: ARG002  none is known
    ) -> Key:
        """Store the payload; see `Connector.put`."""
        deadline = deadline_after(timeout, self._timeout)
        if ttl is not None:
            check_ttl(ttl)
            raise CapabilityError(f"{self!r} keeps no expiry times", remedy="put without ttl=, and evict the object")
        key = payload.key
        # An abandoned call may still read the data when the caller has changed the object (C17).
        data = payload.buffers() if self.keeps_deadlines else [payload.tobytes()]
        doing = f"putting {key} ({payload.nbytes} bytes) into"
        while not self._run(doing, deadline, self.place, key, data):
            stored = self._run(doing, deadline, self._fetched, key)
            if stored is not None:
                if _is_same(stored, data):
                    break
                raise KeyExistsError(f"{self!r} holds a different object under {key}", remedy="encode it with a new id")
            expired(deadline, f"{doing} {self!r}")  # the other object was evicted meanwhile: the name is free
        return key

    def get(
        self,
        key: Key,
        *,
        size: int | None = None,  # noqa: ARG002  a hint that the five methods do not need
        timeout: float | None = None,
    ) -> Frames | None:
        """Fetch the payload; see `Connector.get`."""
        validate_plain_key(key)
        stored = self._run(f"getting {key} from", deadline_after(timeout, self._timeout), self._fetched, key)
        return None if stored is None else Frames((stored,))

    def exists(self, key: Key, *, timeout: float | None = None) -> bool:
        """Tell whether the channel holds the object."""
        validate_plain_key(key)
        # Clients answer with a number, or with what they found.
        return bool(self._run(f"looking for {key} in", deadline_after(timeout, self._timeout), self.holds, key))

    def evict(self, key: Key, *, timeout: float | None = None) -> None:
        """Remove the object; a missing one is not an error."""
        validate_plain_key(key)
        self._run(f"evicting {key} from", deadline_after(timeout, self._timeout), self.remove, key)

    def keys(self, *, timeout: float | None = None) -> Iterator[Key]:
        """Iterate over the keys of the objects in the channel."""
        return iter(self._run("listing", deadline_after(timeout, self._timeout), self._listed))

    def clear(self, *, timeout: float | None = None) -> int:
        """Remove every object, and return their number."""
        deadline = deadline_after(timeout, self._timeout)
        keys = self._run("listing", deadline, self._listed)
        return sum(bool(self._run("clearing", deadline, self.remove, key)) for key in keys)

    def close(self, timeout: float | None = None) -> None:
        """Release what this instance opened in this process; the objects stay."""
        deadline = deadline_after(timeout, self._timeout)
        self._is_closed = True
        channel, self._channel = self._channel, None
        if channel is not None and channel is not _UNOPENED:
            self._call("closing", deadline, self.release, channel)

    def __del__(self) -> None:
        # As the mixin `Finalised`, but without waiting: a release that takes longer goes on in its own thread.
        try:
            if not sys.is_finalizing():
                self.close(timeout=0)
        except Exception:  # noqa: BLE001, S110  a finaliser never raises
            pass

    def check_open(self) -> None:
        """Raise ConnectorClosedError if this instance is closed."""
        if self._is_closed:
            raise ConnectorClosedError(f"{self!r} is closed", remedy="open a new one")

    def config(self) -> dict[str, object]:
        """Return the options that differ from their defaults."""
        changed = {name: value for name, value in self.settings.items() if value != self.defaults.get(name)}
        return {"scheme": self.scheme, **changed}

    @classmethod
    def from_config(cls, config: Mapping[str, object]) -> Self:
        """Open the channel that `config()` or a URI describes, and create it if it does not exist."""
        self = cls.__new__(cls)
        self._begin(config, create=True)
        return self

    @classmethod
    def join(cls, config: Mapping[str, object]) -> Self:
        """Open the channel as `from_config` does, but do not create it; see `join_connector`."""
        self = cls.__new__(cls)
        self._begin(config, create=False)
        return self

    def __repr__(self) -> str:
        return f"{type(self).__name__}({masked_uri(self.uri())!r})"

    def _begin(self, config: Mapping[str, object], *, create: bool) -> None:
        self._is_closed = True
        self._continue(None)
        required = tuple(name for name in self.options if name not in self.defaults)
        given = read_options(config, scheme=self.scheme, readers=self.options, required=required)
        self.settings = {**self.defaults, **given}
        self._timeout: float = self.settings["timeout"]
        format_uri(self.config())  # raises now, not at the first proxy, if a value cannot be in a URI
        deadline = time.monotonic() + self._timeout
        self._channel = self._call("opening", deadline, partial(self.open, create=create))
        self._is_closed = False
        after_fork_in_child(self, SimpleConnector._continue_in_child)

    def _continue(self, channel: Any) -> None:
        self._channel = channel
        self._lock = threading.RLock()  # a finaliser or a signal handler may come in while it is held

    def _continue_in_child(self) -> None:
        _inherited.append(self._channel)
        self._continue(_UNOPENED)

    def _fetched(self, name: str, deadline: float) -> Buffer | None:
        stored = self.fetch(name, deadline)
        if stored is None or isinstance(stored, bytes | bytearray | memoryview):
            return stored
        raise self._wrong_answer("fetch", stored, "bytes or None")

    def _listed(self, deadline: float) -> list[Key]:
        found = list(self.names(deadline))  # a generator would run outside of `_run`
        if wrong := [name for name in found if not isinstance(name, str)]:
            raise self._wrong_answer("names", wrong[0], "strings")
        return [name for name in found if is_plain_key(name)]

    def _wrong_answer(self, method: str, answer: object, expected: str) -> ChannelDataError:
        return ChannelDataError(
            f"{self!r} got {shown(answer)} from its method {method!r}",
            remedy=f"correct the connector, which must return {expected}, or remove what another program stored there",
        )

    def _run(self, doing: str, deadline: float, method: Callable[..., T], *arguments: Any) -> T:
        """Call one of the methods that the subclass defines, while this instance is open."""
        self.check_open()
        try:
            return self._call(doing, deadline, method, *arguments)
        except Exception:
            self.check_open()  # closed meanwhile by another thread: that explains it
            raise

    def _call(self, doing: str, deadline: float, method: Callable[..., T], *arguments: Any) -> T:
        """Call one of the methods that the subclass defines, and translate its failures."""
        try:
            if self.keeps_deadlines:
                return method(*arguments, deadline=deadline)
            return within(deadline, partial(method, *arguments, deadline=deadline))
        except PskError:
            raise
        except Exception as error:
            if isinstance(error, TimeoutError) and time.monotonic() >= deadline:
                raise deadline_error(f"{doing} {self!r}") from error
            if not isinstance(error, self.failures):
                raise
            raise self._failure(doing, error) from error

    def _failure(self, doing: str, error: Exception) -> PskError:
        what = f"{doing} {self!r} failed: {type(error).__name__}: {shown(str(error))}"
        number = error.errno if isinstance(error, OSError) else None
        if number in _NO_ROOM:
            return ChannelFullError(what, remedy="evict objects, or use a channel with more room")
        if number in _NOT_AN_OBJECT:
            return ChannelDataError(what, remedy="remove what is not an object of psk")
        return ChannelUnavailableError(what, remedy="check that the channel exists and can be reached from here")


def _is_same(stored: Buffer, data: Sequence[Buffer]) -> bool:
    whole = memoryview(stored)
    return is_same_payload(data, lambda nbytes, offset: whole[offset : offset + nbytes])
