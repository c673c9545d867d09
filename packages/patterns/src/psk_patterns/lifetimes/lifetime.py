"""Lifetimes that evict the objects attached to them, at the end of a block or of the program."""

from __future__ import annotations

import os
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, Never

from psk import Proxy, Store
from psk.connectors import SupportsBatch
from psk.errors import (
    ChannelUnavailableError,
    ConnectorClosedError,
    DeadlineError,
    InvalidArgumentError,
    InvalidKeyError,
    SerializationError,
    StoreClosedError,
)
from psk.fork import after_fork_in_child
from psk.store import get_key, get_store
from psk_patterns.arguments import check_lifetime, check_store
from psk_patterns.deferred_cleanup import call_at_exit, flush_at_exit, later, move_first_at_exit, seconds_left
from psk_patterns.errors import LifetimeCloseError, LifetimeEndedError
from psk_patterns.leases import reopened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from psk.store import Lifetime

    Failures = list[tuple[str, Exception]]

TOTAL_SECONDS: Final = 60.0
"""Seconds for evicting everything, whatever the channels do."""

BATCH_SECONDS: Final = 20.0
CALL_SECONDS: Final = 5.0
"""Seconds for one call, so that one that hangs leaves time for the others."""


class EvictingLifetime:
    """Evict the attached objects at the end; the base of the lifetimes here.

    Safe to use from many threads. A forked child's copy has no objects attached: it evicts nothing of its parent's.

    Args:
        store: The store of keys that are attached without one; None if each comes with its own.
        name: What messages call the lifetime.
    """

    def __init__(self, store: Store | None, name: str | None) -> None:
        self.name = name
        self._store = None if store is None else check_store(store)
        title = type(self).__name__ if name is None else f"{type(self).__name__} {name!r}"
        self._title = title if store is None else f"{title} of store {store.name!r}"
        self._ended = False
        #: Called after the first objects of a store were attached.
        self._on_new_store: list[Callable[[], object]] = []
        self._forget()
        after_fork_in_child(self, EvictingLifetime._forget)

    def _forget(self) -> None:
        """Detach all objects and replace the lock, as in a forked child."""
        #: Held for short steps in memory only; re-entrant, since a finaliser or signal handler may run in between.
        self._lock = threading.RLock()
        self._attached: dict[Store, dict[str, None]] = {}

    def add_key(self, *keys: str, store: Store | None = None) -> None:
        """Attach the objects with these keys.

        Args:
            keys: What `put` or `reserve` returned.
            store: Where the objects are; None is the lifetime's own store.

        Raises:
            LifetimeEndedError: The lifetime has ended; the objects are evicted, as at its end.
            InvalidArgumentError: No store is given, and the lifetime has none.
            InvalidKeyError: One is not a key but a proxy; none is attached.
        """
        if any(issubclass(type(key), Proxy) for key in keys):
            raise InvalidKeyError("a proxy is not a key", remedy="attach it with add_proxy, or pass psk.get_key(proxy)")
        store = self._store if store is None else store
        if store is None:
            raise InvalidArgumentError(
                f"{self._title} does not know the store of object {keys[0] if keys else None}",
                remedy="pass store=, since this lifetime has no store of its own",
            )
        self._attach(keys, check_store(store))

    def add_proxy(self, *proxies: Proxy[Any]) -> None:
        """Attach the objects of these proxies, without resolving them.

        Raises:
            NotAProxyError: One is not a proxy; none is attached.
            ProxyStoreFactoryError: One was not made by a store; none is attached.
            LifetimeEndedError: As in `add_key`.
            PskError: The store of one cannot be opened, or is not trusted; none is attached.
        """
        found: dict[Store, list[str]] = {}
        for proxy in proxies:
            key, store = get_key(proxy), get_store(proxy)
            if store is not None:  # never for a proxy
                found.setdefault(store, []).append(key)
        for store, keys in found.items():
            self._attach(keys, store)

    def close(self, *, close_stores: bool = False) -> None:
        """End the lifetime and evict everything attached, even if some of it cannot be; takes at most a minute.

        A store that was closed meanwhile is opened again for this. Closing twice has no effect; a second call may
        return while the first is still evicting.

        Args:
            close_stores: Close the stores of the objects afterwards, and the lifetime's own.

        Raises:
            LifetimeCloseError: Some objects could not be evicted; its `failures` has the key of each, and the reason.
        """
        self._end()
        stores = list(self._by_store()) if close_stores else []
        if close_stores and self._store is not None and self._store not in stores:
            stores.append(self._store)
        self._evict(*stores)

    def done(self) -> bool:
        """Return whether the lifetime has ended."""
        return self._ended

    def _end(self) -> None:
        """Let nothing be attached any more."""
        with self._lock:
            self._ended = True

    def _attach(self, keys: Sequence[str], store: Store) -> None:
        with self._lock:
            is_late, is_new = self._ended, store not in self._attached
            if not is_late:
                self._attached.setdefault(store, {}).update(dict.fromkeys(keys))
        if not is_late:
            for notify in self._on_new_store if is_new else ():
                notify()
            return
        failures = evict_keys(store, keys, time.monotonic() + TOTAL_SECONDS)
        raise LifetimeEndedError(
            f"object {keys[0] if keys else None} of store {store.name!r} was to be attached to {self._title}, which "
            "has ended" + (f"; it could not be evicted: {failures[0][1]}" if failures else ", and was evicted"),
            remedy="attach it to another lifetime",
        ) from (failures[0][1] if failures else None)

    def _by_store(self) -> dict[Store, list[str]]:
        with self._lock:
            return {store: list(keys) for store, keys in self._attached.items()}

    def _evict(self, *stores: Store) -> None:
        """Evict everything attached, and then close stores; after an interrupt, the rest is still attached."""
        deadline = time.monotonic() + seconds_left(TOTAL_SECONDS)
        failures: Failures = []
        count = 0
        for store, keys in self._by_store().items():
            failures += evict_keys(store, keys, deadline)
            count += len(keys)
            with self._lock:
                self._attached.pop(store, None)
        for store in stores:
            try:
                store.close()
            except Exception as failure:  # noqa: BLE001  the others are to be closed all the same
                failures.append((store.uri, failure))
        if failures:
            key, cause = failures[0]
            error = LifetimeCloseError(
                f"{self._title} ended, and {len(failures)} of its {count} objects could not be evicted; the first is "
                f"{key}: {cause}",
                remedy="evict them with Store.evict; `failures` has every key",
            )
            error.failures = tuple(failures)
            raise error from cause

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            self.close()
        except Exception as failure:
            if error is None:
                raise
            # The first error is the one that matters.
            error.add_note(f"{type(failure).__name__}: {failure}")

    def __reduce__(self) -> Never:
        raise SerializationError(
            f"{self._title} cannot be pickled: it ends objects of this process",
            remedy="make a lifetime in the other process, or pass proxies",
        )

    def __repr__(self) -> str:
        return f"<{self._title}{', ended' if self.done() else ''}>"


class ContextLifetime(EvictingLifetime):
    """Evict objects at the end of a `with` block, or at `close()`.

    It works on every channel. If the process is killed first, the objects stay; `LeaseLifetime` prevents that.

        with ContextLifetime(store) as lifetime:
            proxy = store.proxy(array, lifetime=lifetime)

    Args:
        store: The store of keys that are attached without one.
        name: What messages call the lifetime.
    """

    def __init__(self, store: Store, *, name: str | None = None) -> None:
        super().__init__(store, name)


class StaticLifetime(EvictingLifetime):
    """Evict objects when the program ends; there is one per process, and each call returns it.

    It works on every channel. The interpreter's exit waits at most 0.8 s for the evictions; objects that could not be
    evicted by then stay, and so does everything if the process is killed or ends by `os._exit`. Children of
    `multiprocessing` evict their own objects. Keys are attached with their store: `add_key(key, store=store)`.
    """

    _owner = 0

    def __new__(cls) -> Self:
        """Return the only instance."""
        made = super().__new__(cls)
        only = _static.setdefault(cls, made)
        if only is made:
            EvictingLifetime.__init__(made, None, None)
            made._on_new_store.append(made._call_at_exit)
            made._call_at_exit()
        return only  # type: ignore[return-value]  # the table is keyed by class

    def _call_at_exit(self) -> None:
        if self._owner == os.getpid():
            move_first_at_exit(self._finish)
        else:  # a forked child's exit handlers may be gone
            self._owner = os.getpid()
            call_at_exit(self._finish)

    def _finish(self) -> None:
        later(_close_at_exit, self, self.close)
        flush_at_exit()

    def __init__(self) -> None:
        """Do nothing: `__new__` has initialised the only instance."""


def register_lifetime_atexit(lifetime: Lifetime, close_stores: bool = False) -> Callable[[], None]:
    """End a lifetime when the program does, if it has not ended before.

    The interpreter's exit waits at most 0.8 s for the evictions. A forked child does not end the lifetime.

    Args:
        lifetime: Any lifetime.
        close_stores: Passed to its `close`.

    Returns:
        The function that will be called; `atexit.unregister` cancels it.

    Raises:
        InvalidArgumentError: It is not a lifetime.
    """
    owner = os.getpid()
    check_lifetime(lifetime)
    close: Callable[..., None] = lifetime.close  # ours accept `close_stores`

    def end() -> None:
        if os.getpid() == owner:
            later(_close_at_exit, lifetime, partial(close, close_stores=True) if close_stores else close)
            flush_at_exit()

    call_at_exit(end)
    if isinstance(lifetime, EvictingLifetime):
        lifetime._on_new_store.append(partial(move_first_at_exit, end))  # noqa: SLF001  of this module
    return end


def _close_at_exit(lifetime: Lifetime, close: Callable[[], object]) -> None:
    """Close a lifetime as the program ends; objects that went with their session before need no report."""
    stores = lifetime._by_store() if isinstance(lifetime, EvictingLifetime) else {}  # noqa: SLF001  of this module
    of_sessions = {key for store, keys in stores.items() if store.uri.startswith("shm:") for key in keys}
    try:
        close()
    except LifetimeCloseError as error:
        if not all(
            key in of_sessions and isinstance(failure, ChannelUnavailableError) for key, failure in error.failures
        ):
            raise


def evict_keys(store: Store, keys: Sequence[str], deadline: float) -> Failures:
    """Evict objects of one store, and return those that could not be evicted, with the reasons.

    Args:
        store: The store; if it is closed, a private one over its channel is used.
        keys: The objects.
        deadline: When to stop, by `time.monotonic`.
    """
    try:
        with reopened(store) as channel:
            failures = _evict(channel, keys, deadline)
        closed = [key for key, error in failures if isinstance(error, StoreClosedError | ConnectorClosedError)]
        if closed:  # meanwhile, by another thread, or the connector alone
            with Store.from_config(store.config(), register=False) as channel:
                others = [(key, error) for key, error in failures if key not in closed]
                failures = others + _evict(channel, closed, deadline)
    except Exception as error:  # noqa: BLE001  the channel cannot be opened, for whatever reason
        return [(key, error) for key in keys]
    return failures


def _evict(channel: Store, keys: Sequence[str], deadline: float) -> Failures:
    left = deadline - time.monotonic()
    if len(keys) > 1 and left > 0 and channel.supports(SupportsBatch):
        with suppress(Exception):  # evicting one by one tells which object failed, and why
            channel.evict_batch(keys, timeout=min(left, BATCH_SECONDS))
            return []
    failures: Failures = []
    for key in keys:
        left = deadline - time.monotonic()
        if left <= 0:
            late = DeadlineError(f"no time was left to evict object {key}", remedy="evict it with Store.evict")
            failures.append((key, late))
            continue
        try:
            channel.evict(key, timeout=min(left, CALL_SECONDS))
        except Exception as error:  # noqa: BLE001  the others are to be evicted all the same
            failures.append((key, error))
    return failures


_static: dict[type, StaticLifetime] = {}
