"""Tell subscribers what a store did: its metrics, and the observers of plug-ins.

Imported only for a store that has a subscriber. Everywhere else `events` is None.
"""

from __future__ import annotations

from contextvars import ContextVar
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from psk.plugins import installed, load
from psk.plugins.discovery import NOT_ALLOWED
from psk.unraisable import report_ignored

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token
    from types import TracebackType

T = TypeVar("T")


class Event:
    """A part of a store's call: a context manager while it runs, which subscribers get when it has ended.

    The `with` block gets `moved`, to be called with each payload that moves.

    Attributes:
        operation: What was done: `connector.get`, `store.serialize`, ... as in `StoreMetrics.times`.
        seconds: How long it took.
        sizes: The keys of the objects it was about, with the bytes of each payload that moved; 0 if none did.
        failed: Whether it raised.
    """

    __slots__ = ("_events", "_start", "failed", "operation", "seconds", "sizes")

    failed: bool
    seconds: float

    def __init__(self, events: Events, operation: str) -> None:
        self._events = events
        self.operation = operation
        self.sizes: dict[str, int] = {}

    def __enter__(self) -> Callable[[str, int], None]:
        self._start = perf_counter()
        return self.moved

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.seconds = perf_counter() - self._start
        self.failed = error is not None
        for subscriber in self._events.subscribers:
            subscriber(self)

    def moved(self, key: str, nbytes: int) -> None:
        """Note that the payload of a key moved, in this event and in that of the call in progress."""
        self.sizes[key] = nbytes
        call = _call.get()
        if call is not None and call.is_of(self._events):
            call.sizes[key] = nbytes


class Call(Event):
    """A call of a store: `store.put`, `store.get`, ... or `factory.resolve`, with all that moved in it."""

    __slots__ = ("_token",)

    _token: Token[Call | None]

    def __enter__(self) -> Callable[[str, int], None]:
        self._token = _call.set(self)
        return super().__enter__()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            _call.reset(self._token)
        except ValueError:  # a coroutine that is closed, not awaited, ends in a context that is not its own
            return
        super().__exit__(kind, error, traceback)

    def is_of(self, events: Events) -> bool:
        """Tell whether this is a call of a certain store."""
        return self._events is events


#: The call in progress, of whatever store.
_call: ContextVar[Call | None] = ContextVar("psk call", default=None)

Subscriber: TypeAlias = "Callable[[Event], object]"


class Events:
    """Where one store reports what it does.

    Args:
        observers: A subscriber that asks which objects a call was about, so that calls keep account of them; or None.

    Attributes:
        subscribers: Functions that are called with each event when it has ended.
    """

    __slots__ = ("running", "subscribers")

    def __init__(self, observers: Subscriber | None = None) -> None:
        self.subscribers: tuple[Subscriber, ...] = () if observers is None else (observers,)
        kind = Event if observers is None else Call
        #: Make the event of a call of the store, which runs in a `with` block.
        self.running: Callable[[str], Event] = partial(kind, self)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call a function with each event from now on."""
        self.subscribers += (subscriber,)

    def transfer(self, name: str) -> Event:
        """Return the event of a transfer, which runs in a `with` block."""
        return Event(self, name)

    def step(self, name: str, function: Callable[..., T], *args: Any) -> T:
        """Call a function as a part of the call in progress."""
        with Event(self, name):
            return function(*args)

    def about(self, *keys: str) -> None:
        """Note that the call in progress is about these keys, whether or not their payloads move."""
        call = _call.get()
        if call is not None and call.is_of(self):
            for key in keys:
                call.sizes.setdefault(key, 0)


def events_of(store: str, *, wanted: bool) -> Events | None:
    """Return the events of a store, with the observers of this process among the subscribers.

    Args:
        store: The store's name.
        wanted: Whether there will be other subscribers.

    Returns:
        None if nobody would hear of them. A store that an observer opens for itself has no observers.
    """
    if _telling.get():
        observers: tuple[Observer, ...] = ()
    else:
        if not _observers:
            _observers.append(_quietly(_load_observers))
        observers = _observers[0]
    if observers:
        return Events(partial(_tell_observers, store, observers))
    return Events() if wanted else None


#: The hook that each operation is reported to.
HOOKS = {
    **dict.fromkeys(("store.put", "store.put_batch", "store.fulfil", "store.swap"), "psk_after_put"),
    **dict.fromkeys(("store.proxy", "store.proxy_batch"), "psk_after_put"),
    **dict.fromkeys(("store.get", "store.get_batch", "store.take"), "psk_after_get"),
    **dict.fromkeys(("store.evict", "store.evict_batch"), "psk_after_evict"),
    "factory.resolve": "psk_after_resolve",
}


class Observer:
    """The hooks of one plug-in. One that raises is reported once, and does not disturb the store.

    Args:
        entry_point: The plug-in's name, for reports.
        hooks: What `psk.plugins.load` returned.
    """

    __slots__ = ("_entry_point", "_hooks", "_reported")

    def __init__(self, entry_point: str, hooks: Any) -> None:
        self._entry_point = entry_point
        self._hooks = hooks
        self._reported: set[str] = set()

    def tell(self, hook: str, **event: Any) -> None:
        """Call the plug-in's implementation of a hook, if it has one."""
        try:
            getattr(self._hooks, hook)(**event)
        except KeyboardInterrupt:
            raise
        except BaseException:  # noqa: BLE001  the failure of an observer is not one of the store
            if hook not in self._reported:
                self._reported.add(hook)
                report_ignored(f"{self._entry_point}: {hook}", "Exception ignored in a plug-in of psk")


#: Whether observers run here: nobody hears of what they do themselves.
_telling: ContextVar[bool] = ContextVar("psk telling observers", default=False)
#: The observers of this process, once they have been loaded.
_observers: list[tuple[Observer, ...]] = []


def _quietly(call: Callable[[], T]) -> T:
    token = _telling.set(True)
    try:
        return call()
    finally:
        _telling.reset(token)


def _load_observers() -> tuple[Observer, ...]:
    observers = []
    seen = set()
    for plugin in installed():
        if plugin.kind != "observer" or plugin.status == NOT_ALLOWED or plugin.name in seen:
            continue
        seen.add(plugin.name)
        try:
            observers += [Observer(plugin.entry_point, hooks) for hooks in load(plugin.kind, plugin.name)]
        except Exception:  # noqa: BLE001  whatever is wrong with an observer, the store opens
            report_ignored(plugin.entry_point, "psk continues without an observer")
    return tuple(observers)


def _tell_observers(store: str, observers: tuple[Observer, ...], event: Event) -> None:
    hook = None if event.failed or _telling.get() else HOOKS.get(event.operation)
    if hook is None or not event.sizes:
        return
    seconds = event.seconds / len(event.sizes)

    def tell() -> None:
        for key, nbytes in event.sizes.items():
            for observer in observers:
                observer.tell(hook, store=store, key=key, nbytes=nbytes, seconds=seconds)

    _quietly(tell)
