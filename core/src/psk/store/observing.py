"""Who else hears of what a store does? Observers, after it has succeeded; where there are none, no store is touched."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import ContextVar
from functools import partial, wraps
from time import perf_counter
from typing import TYPE_CHECKING, Any

from psk.store.observers import Observer, get_observers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from psk.store.objects import ObjectMethods
    from psk.wire import Frames, Payload, Reference

PUT, GET, EVICT, RESOLVE = "psk_after_put", "psk_after_get", "psk_after_evict", "psk_after_resolve"


class Call:
    """One call of a store that is under way.

    Attributes:
        store: Whose it is; None while observers run: what they do themselves is observed by nobody.
        hook: Who will hear of it.
        together: Whether calls for single objects within it are a part of it.
        moved: Bytes of each key's payload that moved.
        encoded: Bytes of the payload that was made last.
    """

    __slots__ = ("encoded", "hook", "moved", "store", "together")

    def __init__(self, store: ObjectMethods | None = None, hook: str = "", *, together: bool = False) -> None:
        self.store = store
        self.hook = hook
        self.together = together
        self.moved: dict[str, int] = {}
        self.encoded = 0


_current: ContextVar[Call | None] = ContextVar("psk_observed_call", default=None)


def observe(store: ObjectMethods) -> None:
    """Let the observers of this process hear of a store's calls, by wrapping them on this one instance.

    A store that an observer opens for itself is left alone.
    """
    call = _current.get()
    if call is not None and call.store is None:
        return
    with _unheard():
        observers = get_observers()
    if observers:
        watch = Watch(store, observers)
        replace(store, watch.put, "put", "proxy", "fulfil", "swap")
        replace(store, watch.put_batch, "put_batch", "proxy_batch")
        for name in ("get", "get_batch", "evict", "evict_batch", "resolve_reference", "aput", "aget"):
            replace(store, getattr(watch, name), name)
        replace(store, watch.get, "take")
        # These tell what moves.
        replace(store, watch.place, "_place")
        replace(store, watch.place_together, "_place_together")
        replace(store, watch.place_reserved, "_place_reserved", "_place_swapped")
        replace(store._encoder, watch.encode, "encode")  # noqa: SLF001  the one switch, as in metrics.py
        replace(store._reader, watch.fetch, "fetch")  # noqa: SLF001
        replace(store._reader, watch.accept, "accept")  # noqa: SLF001


@contextmanager
def _unheard() -> Iterator[None]:
    token = _current.set(Call())
    try:
        yield
    finally:
        _current.reset(token)


def replace(owner: Any, stand_in: Callable[..., Any], *names: str) -> None:
    """Let another function, called with the method first, stand in for methods of one instance."""
    for name in names:
        method = getattr(owner, name)
        setattr(owner, name, wraps(method)(partial(stand_in, method)))


class Watch:
    """What stands in for the methods of one observed store; each calls the method that it is given.

    Args:
        store: The store.
        observers: Who hears of it.
    """

    def __init__(self, store: ObjectMethods, observers: tuple[Observer, ...]) -> None:
        self._store = store
        self._observers = observers

    def put(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Stand in for what stores one object."""
        with self._watching(PUT):
            return method(*args, **options)

    def put_batch(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Stand in for what stores several objects."""
        with self._watching(PUT, together=True):
            return method(*args, **options)

    async def aput(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Stand in for the asynchronous put."""
        with self._watching(PUT, together=True) as call:
            key = await method(*args, **options)
            call.moved.setdefault(key, call.encoded)
        return key

    def get(self, method: Callable[..., Any], key: str, *args: Any, **options: Any) -> Any:
        """Stand in for the get of one object, or its take."""
        with self._watching(GET) as call:
            found = method(key, *args, **options)
            call.moved.setdefault(key, 0)
        return found

    def get_batch(self, method: Callable[..., Any], keys: Iterable[str], **options: Any) -> Any:
        """Stand in for the get of several objects."""
        listed = [*keys]
        with self._watching(GET, together=True) as call:
            found = method(listed, **options)
            call.moved = {key: call.moved.get(key, 0) for key in listed}
        return found

    async def aget(self, method: Callable[..., Any], key: str, **options: Any) -> Any:
        """Stand in for the asynchronous get."""
        with self._watching(GET, together=True) as call:
            found = await method(key, **options)
            call.moved.setdefault(key, 0)
        return found

    def evict(self, method: Callable[..., Any], key: str, **options: Any) -> None:
        """Stand in for the evict of one object."""
        with self._watching(EVICT) as call:
            method(key, **options)
            call.moved[key] = 0

    def evict_batch(self, method: Callable[..., Any], keys: Iterable[str], **options: Any) -> None:
        """Stand in for the evict of several objects."""
        listed = [*keys]
        with self._watching(EVICT, together=True) as call:
            method(listed, **options)
            call.moved = dict.fromkeys(listed, 0)

    def resolve_reference(
        self, method: Callable[..., Any], reference: Reference, *args: Any, **options: Any
    ) -> tuple[bool, Any]:
        """Stand in for the resolve of a proxy; one whose object is gone has not succeeded."""
        with self._watching(RESOLVE) as call:
            found, target = method(reference, *args, **options)
            call.moved = {reference.key: call.moved.get(reference.key, 0)} if found else {}
        return found, target

    def place(self, method: Callable[..., Any], payload: Payload, *args: Any, **options: Any) -> Any:
        """Stand in for the part of a put that moves a payload."""
        key = method(payload, *args, **options)
        self._note(key, payload.nbytes)
        return key

    def place_together(self, method: Callable[..., Any], payloads: list[Payload], *args: Any, **options: Any) -> Any:
        """Stand in for the part of a batch that moves payloads."""
        keys = method(payloads, *args, **options)
        for key, payload in zip(keys, payloads, strict=True):
            self._note(key, payload.nbytes)
        return keys

    def place_reserved(self, method: Callable[..., Any], payload: Payload, key: str, **options: Any) -> None:
        """Stand in for the part of a fulfilment that moves the payload."""
        method(payload, key, **options)
        self._note(key, payload.nbytes)

    def encode(self, method: Callable[..., Any], *args: Any, **options: Any) -> Any:
        """Stand in for the encoder, whose payload an asynchronous put moves itself."""
        payload = method(*args, **options)
        call = _current.get()
        if call is not None:
            call.encoded = payload.nbytes
        return payload

    def fetch(self, method: Callable[..., Any], key: str, *args: Any, **options: Any) -> Any:
        """Stand in for the part of a get that moves a payload."""
        source = method(key, *args, **options)
        self._note(key, getattr(source, "nbytes", 0))
        return source

    def accept(self, method: Callable[..., Any], key: str, frames: Frames | None, *args: Any, **options: Any) -> Any:
        """Stand in for the part of a get that takes what was fetched with others, or without blocking."""
        self._note(key, 0 if frames is None else frames.nbytes)
        return method(key, frames, *args, **options)

    def _note(self, key: str, nbytes: int) -> None:
        call = _current.get()
        if call is not None and call.store is self._store:
            call.moved[key] = nbytes

    @contextmanager
    def _watching(self, hook: str, *, together: bool = False) -> Iterator[Call]:
        outer = _current.get()
        if outer is not None and (
            outer.store is None or (outer.together and outer.hook == hook and outer.store is self._store)
        ):
            yield outer
            return
        call = Call(self._store, hook, together=together)
        token = _current.set(call)
        start = perf_counter()
        try:
            yield call
        finally:
            seconds = perf_counter() - start
            _current.reset(token)
        if call.moved:
            self._tell(call, seconds / len(call.moved))

    def _tell(self, call: Call, seconds: float) -> None:
        store = self._store._config.name  # noqa: SLF001  as above
        with _unheard():
            for key, nbytes in call.moved.items():
                for observer in self._observers:
                    observer.tell(call.hook, store=store, key=key, nbytes=nbytes, seconds=seconds)
