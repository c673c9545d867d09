"""What does a worker need to know of the executor whose tasks it runs, and which store does it use?"""

from __future__ import annotations

import pickle
import threading
from typing import TYPE_CHECKING, Any

from psk import Store, get_or_create_store
from psk.errors import CapabilityError, StoreExistsError
from psk.fork import after_fork_in_child

if TYPE_CHECKING:
    from collections.abc import Callable

    from psk import StoreConfig

#: Those that arrived in this process, by their pickle: each is unpickled, and opens its store, once.
_arrived: dict[bytes, Settings] = {}
_lock = threading.RLock()
#: More executors than that do not send tasks to one worker; whoever does pays for it with time.
MOST_ARRIVED = 64


class Settings:
    """The part of a `StoreExecutor` that travels with each task.

    Args:
        config: What rebuilds the executor's store.
        policy: Which results shall be proxied.
        ttl: Seconds to live that a result is put with until it has arrived; None where the channel has no expiry.
        store: The store itself; None in a process that the settings were sent to.

    Attributes:
        travelled: Whether they were sent, so that what a task returns has to travel back.
    """

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
        """Give the store for results: the executor's own in its process, else one that is opened here once.

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
        """Make sure that the channel's objects can be seen from here.

        Raises:
            CapabilityError: They cannot.
        """
        if self.travelled and self._config.connector.startswith("local:"):
            raise CapabilityError(
                f"store {self._config.name!r} cannot serve a worker in another process: channel 'local' is the memory"
                " of the process that has the executor",
                remedy="open the store with shm:// on one host, or with a channel that all hosts reach",
            )

    def __reduce__(self) -> tuple[Any, ...]:
        if not self._pickled:
            parts = (self._config, self.policy, self.ttl)
            try:
                pickled = pickle.dumps(parts, protocol=5)
            except Exception:  # noqa: BLE001  whoever pickles the task may know how to: cloudpickle, for one
                return restore_parts, parts
            if b"__main__" in pickled:  # not every worker has what is defined there; cloudpickle sends it by value
                return restore_parts, parts
            self._pickled = pickled
        return restore_settings, (self._pickled,)


def restore_settings(pickled: bytes) -> Settings:
    """Rebuild settings that were sent; equal ones are the same object."""
    known = _arrived.get(pickled)
    if known is None:
        with _lock:
            if len(_arrived) >= MOST_ARRIVED:
                _arrived.clear()
            known = _arrived.setdefault(pickled, Settings(*pickle.loads(pickled)))  # noqa: S301  as it came: pickled
    return known


def restore_parts(config: StoreConfig, policy: Callable[[Any], bool], ttl: float | None) -> Settings:
    """Rebuild settings that were sent with a policy that plain pickle cannot send."""
    return Settings(config, policy, ttl)


def _open(config: StoreConfig) -> Store:
    try:
        # Registered: the proxies among the arguments then use this one, with its options, and open no other.
        return get_or_create_store(config, register=True)
    except StoreExistsError:  # the user's name for something else
        return Store.from_config(config, register=False)


@after_fork_in_child
def _renew_lock() -> None:
    global _lock  # noqa: PLW0603  its holder does not exist in a forked child
    _lock = threading.RLock()
