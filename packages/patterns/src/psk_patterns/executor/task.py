"""Messages between an executor and a worker: a task and its result."""

from __future__ import annotations

import pickle
import sys
import threading
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from psk import Store, extract, get_factory, get_or_create_store
from psk.errors import CapabilityError, MissingKeyError, StoreExistsError
from psk.fork import after_fork_in_child
from psk.proxy import is_proxy
from psk.store import StoreFactory, get_key
from psk_patterns.errors import LeaseLostError
from psk_patterns.executor.inputs import PolicySelection, stays
from psk_patterns.ownership import accept, into_owned, is_owned
from psk_patterns.traversal import transform

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk import StoreConfig

MOST_ARRIVED: Final = 64
"""The number of executors whose settings a worker keeps; with more, it opens their stores again."""


class WorkerSettings:
    """The part of a `StoreExecutor` that travels with each task.

    Args:
        config: Rebuilds the executor's store.
        policy: Selects the results that are proxied.
        ttl: Seconds to live of a result until it has arrived; None where the channel has no expiry.
        store: The store itself; None in a process that the settings were sent to.

    Attributes:
        travelled: Whether they were sent, so that results have to be sent back.
    """

    __module__ = "psk_patterns.executor"  # pickles contain it

    def __init__(
        self, config: StoreConfig, policy: Callable[[Any], bool], ttl: float | None, store: Store | None = None
    ) -> None:
        self.policy = policy
        self.ttl = ttl
        self.travelled = store is None
        self._config = config
        self._store = store
        self._pickled = b""

    def store(self) -> Store:
        """Return the store for results: the executor's own in its process, else one that is opened here once.

        Raises:
            CapabilityError: The channel is the memory of the executor's process, and this is another.
            PskError: As `Store`.
        """
        if self._store is not None and not self.travelled:
            return self._store
        self.check_reach()
        with _lock:
            if self._store is None or self._store.closed:
                self._store = _open(self._config)
            return self._store

    def check_reach(self) -> None:
        """Make sure that this process reaches the channel.

        Raises:
            CapabilityError: It does not.
        """
        if self.travelled and self._config.connector.startswith("local:"):
            raise CapabilityError(
                f"store {self._config.name!r} cannot serve a worker in another process: channel 'local' is the memory"
                " of the executor's process",
                remedy="open the store with shm:// on one host, or with a channel that all hosts reach",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._pickled:
            parts = (self._config, self.policy, self.ttl)
            try:
                pickled = pickle.dumps(parts, protocol=5)
            except Exception:  # noqa: BLE001  the engine's pickler may be able to: cloudpickle, for one
                return WorkerSettings, parts
            if b"__main__" in pickled:  # not every worker can import that; cloudpickle sends its contents by value
                return WorkerSettings, parts
            self._pickled = pickled
        return restore_settings, (self._pickled,)


#: The settings that arrived in this process, by their pickle: each is unpickled, and opens its store, once.
_arrived: dict[bytes, WorkerSettings] = {}
_lock = threading.RLock()


def restore_settings(pickled: bytes) -> WorkerSettings:
    """Rebuild settings that were sent; equal ones are the same object."""
    known = _arrived.get(pickled)
    if known is None:
        with _lock:
            if len(_arrived) >= MOST_ARRIVED:
                _arrived.clear()
            parts = pickle.loads(pickled)  # noqa: S301  the engine has just unpickled what contained it
            known = _arrived.setdefault(pickled, WorkerSettings(*parts))
    return known


restore_settings.__module__ = "psk_patterns.executor"


def _open(config: StoreConfig) -> Store:
    try:
        # Registered, so that the proxies among the arguments use this store, with its options, and open no other.
        return get_or_create_store(config, register=True)
    except StoreExistsError:  # the user has another store of that name
        return Store.from_config(config, register=False)


class Task:
    """One call of a user's function, in any process.

    Args:
        function: The user's.
        settings: The executor's.
        lent: The keys of the arguments that the executor put for this call, and evicts after it.
        moves: Whether there are owned proxies among the arguments.
    """

    __slots__ = ("function", "lent", "moves", "settings")
    __module__ = "psk_patterns.executor"

    def __init__(
        self, function: Callable[..., Any], settings: WorkerSettings, lent: frozenset[str], moves: bool
    ) -> None:
        self.function = function
        self.settings = settings
        self.lent = lent
        self.moves = moves

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Call the function, and return its result as it is to be sent."""
        if self.lent:
            self.settings.check_reach()
        if self.moves and not self.settings.travelled:
            args, kwargs = transform((args, kwargs), _moved)
        return pack(self.function(*args, **kwargs), self.settings, self.lent)

    def __reduce__(self) -> tuple[Any, ...]:
        return Task, (self.function, self.settings, self.lent, self.moves)

    def __repr__(self) -> str:
        return f"Task({self.function!r})"


def call_each(function: Callable[..., Any], width: int, *args: Any) -> list[Any]:
    """Call a function with so many of the arguments at a time, and return the results."""
    return [function(*args[start : start + width]) for start in range(0, len(args), width)]


call_each.__module__ = "psk_patterns.executor"


def _moved(leaf: Any) -> Any:
    """Move an owned proxy to its task, though both are in one process and the engine pickles nothing."""
    if not is_owned(leaf):
        return leaf
    moved = pickle.loads(pickle.dumps(leaf))  # noqa: S301  of this very line
    accept(moved)
    return moved


class PackedResult(NamedTuple):
    """A result that has to be unpacked where it arrives.

    Args:
        content: The result, or its pickle if it has to travel.
        keys: The objects that were put for it.
        pickled: Whether `content` is a pickle.
    """

    content: Any
    keys: frozenset[str]
    pickled: bool


PackedResult.__module__ = "psk_patterns.executor"


def pack(result: Any, settings: WorkerSettings, lent: frozenset[str]) -> Any:
    """Put the selected objects of a result into the store, and return the result as it is to be sent.

    If that fails, nothing stays in the store.

    Args:
        result: What the user's function returned; a proxy of one of its arguments is replaced by its target, since
            arguments are evicted.
        settings: The executor's.
        lent: The keys of those arguments.

    Raises:
        PskError: As `Store.put`.
        Exception: Whatever pickling the result raises, where that is needed.
    """
    if stays(result, settings.policy):
        return result
    owned: list[Any] = []

    def look_at(value: Any) -> Any:
        if is_owned(value):
            owned.append(value)
        return extract(value) if lent and _key_of(value) in lent else value

    selection = PolicySelection(settings.policy, look_at)
    marked = selection.mark_whole_or_parts(result)
    if not selection.selected and not (owned and settings.travelled):
        return marked
    made: list[Any] = []
    if selection.selected:
        made = settings.store().proxy_batch(selection.selected, ttl=settings.ttl, populate_target=False)
    content = selection.fill(marked, made)
    keys = frozenset(map(get_key, made))
    if not settings.travelled:
        return PackedResult(content, keys, pickled=False)
    try:
        # Not by the engine: the objects of a result that cannot be pickled would stay in the store.
        return PackedResult(_dumps(content), keys, pickled=True)
    except BaseException as error:
        store = settings.store()
        try:
            store.evict_batch(keys)
        except Exception as failure:  # noqa: BLE001  the first error is the one that matters
            error.add_note(f"{len(keys)} objects that were put stay in {store.shown_uri}: {failure}")
        raise


def unpack(packed: PackedResult, settings: WorkerSettings, *, ownership: bool) -> Any:
    """Return a result that arrived, and keep the objects that were put for it.

    Args:
        packed: What the task sent.
        settings: The executor's.
        ownership: Whether this process owns the objects from now on; otherwise they stay until they are evicted.

    Raises:
        LeaseLostError: The result took so long to arrive that its objects have expired.
        PskError: The channel failed.
        Exception: Whatever unpickling the result raises.
    """

    def receive(leaf: Any) -> Any:
        if is_owned(leaf):
            accept(leaf)
        elif _key_of(leaf) in packed.keys:
            return _kept(leaf, settings.ttl, ownership=ownership)
        return leaf

    content = pickle.loads(packed.content) if packed.pickled else packed.content  # noqa: S301  as any result arrives
    return transform(content, receive)


def _key_of(value: Any) -> str | None:
    """Return the key of a store's proxy, or None for anything else; resolves nothing."""
    factory = get_factory(value) if is_proxy(value) else None
    return factory.reference.key if isinstance(factory, StoreFactory) else None


def _kept(proxy: Any, ttl: float | None, *, ownership: bool) -> Any:
    factory: Any = get_factory(proxy)
    missing: MissingKeyError | None = None
    try:
        if ownership:
            return into_owned(proxy) if ttl is None else into_owned(proxy, ttl=ttl)
        if ttl is None or factory.store().renew(factory.reference.key, None):
            return proxy
    except MissingKeyError as error:
        missing = error
    within = "in time" if ttl is None else f"within {ttl:g} s"
    raise LeaseLostError(
        f"{factory!r} of a task's result is gone: it did not arrive {within}, or it was evicted",
        remedy="give the StoreExecutor a larger ttl",
    ) from missing


def _dumps(content: Any) -> bytes:
    try:
        return pickle.dumps(content, protocol=5)
    except Exception:
        better = sys.modules.get("cloudpickle")  # imported by an engine that uses it
        if better is None:
            raise
        return bytes(better.dumps(content, protocol=5))


@after_fork_in_child
def _reset() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in a forked child
    _lock = threading.RLock()
