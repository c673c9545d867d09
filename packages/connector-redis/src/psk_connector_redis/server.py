"""Who answers for a name? The servers of one channel: which one holds it, and a connection to that one."""

from __future__ import annotations

import os
import time
import weakref
from functools import partial
from typing import TYPE_CHECKING, Self

from redis.exceptions import RedisError

from psk.errors import ChannelUnavailableError, ConnectorClosedError, DeadlineError, PskError
from psk_connector_redis.cluster import Cluster, moved_to
from psk_connector_redis.credentials import SENTINEL_VARIABLE, Credentials
from psk_connector_redis.dialing import Dialer
from psk_connector_redis.durability import check, examine
from psk_connector_redis.failures import refusal_of
from psk_connector_redis.patience import Patience
from psk_connector_redis.pool import Borrowed, Pool
from psk_connector_redis.refusal import Refusal
from psk_connector_redis.sentinel import Sentinels
from psk_connector_redis.topology import Standalone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeVar

    from redis.credentials import CredentialProvider

    from psk_connector_redis.addresses import Address
    from psk_connector_redis.durability import Facts
    from psk_connector_redis.link import Link
    from psk_connector_redis.settings import Settings
    from psk_connector_redis.topology import Topology

    T = TypeVar("T")


class Server:
    """The servers of one channel, with a pool of links to each.

    Thread-safe. A forked child has its own connections; what it closes disturbs nobody.

    Args:
        settings: Which servers, and how to speak to them.
        password: For this process only; None to look in the environment.
        credential_provider: Asked for user and password at each new connection, instead.

    Raises:
        ChannelUnavailableError: Nobody answers, or the server refuses this user.
        DurabilityError: The servers cannot promise the durability of the settings, or do not let it be known.
    """

    __slots__ = ("__weakref__", "_dialer", "_is_closed", "_pools", "_topology", "durabilities", "evicts", "settings")

    settings: Settings
    durabilities: tuple[str, ...]
    evicts: bool  # whether a server is known to throw away what it likes to make room

    def __init__(
        self,
        settings: Settings,
        *,
        password: str | None = None,
        credential_provider: CredentialProvider | None = None,
    ) -> None:
        self.settings = settings
        credentials = Credentials(settings, user=settings.user, password=password, provider=credential_provider)
        self._dialer = Dialer(settings, credentials, settings.db)
        self._pools: dict[Address, Pool] = {}
        self._is_closed = False
        self._topology = self._topology_of(settings)
        _servers.add(self)
        try:
            self.durabilities = self._open()
        except BaseException:
            self.close()
            raise

    def link(self, name: bytes | None, deadline: float) -> Borrowed:
        """Borrow a connection to the server that holds a Redis name (None: any), as a context manager.

        Raises OSError, redis.exceptions.RedisError or Refusal, as entering and using it do; `run` knows what they mean.
        """
        return self._borrow(self._topology.address_of(name, deadline), deadline)

    def connect(self, name: bytes | None, deadline: float) -> Link:
        """Make a connection of the caller's own, outside the pool, as a subscriber needs; `link.close()` ends it."""
        self.check_open()
        return self._dial(self._topology.address_of(name, deadline), deadline)

    def groups(self, names: Sequence[bytes], deadline: float) -> list[list[int]]:
        """Sort names by the server that holds them: for each server the places of its names in the sequence."""
        return list(self.places(names, deadline).values())

    def places(self, names: Sequence[bytes], deadline: float) -> dict[Address, list[int]]:
        """Sort names as `groups` does, and say which server it is.

        Raises:
            PskError: It is not known, and nobody can be asked.
        """

        def once(_: Address | None) -> dict[Address, list[int]]:
            places: dict[Address, list[int]] = {}
            for place, name in enumerate(names):
                places.setdefault(self._topology.address_of(name, deadline), []).append(place)
            return places

        return self._repeat(once, deadline, "finding the servers of some names")

    def run(
        self, exchange: Callable[[Link], T], *, name: bytes | None, deadline: float, doing: str, nbytes: int = 0
    ) -> T:
        """Do one exchange with the server that holds a name; repeat it while that can help and there is time.

        Args:
            exchange: Sends and receives on the link; raises a `Refusal` that it has no use for. It must do no
                harm when it is done twice.
            name: The Redis name concerned; None if any server will do.
            deadline: When it must be over, by `time.monotonic`.
            doing: What it does, as a phrase for messages: "putting 0123...".
            nbytes: Size of what should be stored.

        Raises:
            PskError: It cannot be done, or not in time.
        """

        def once(instead: Address | None) -> T:
            place = self._topology.address_of(name, deadline) if instead is None else instead
            with self._borrow(place, deadline, is_asking=instead is not None) as link:
                return exchange(link)

        return self._repeat(once, deadline, doing, nbytes)

    def run_on_each(self, exchange: Callable[[Link], T], *, deadline: float, doing: str) -> list[T]:
        """Do one exchange with each server that holds objects, as `run` does; return the answers."""
        answers: dict[Address, T] = {}

        def once(_: Address | None) -> list[T]:
            for address in self._topology.primaries(deadline):
                if address not in answers:
                    with self._borrow(address, deadline) as link:
                        answers[address] = exchange(link)
            return list(answers.values())

        return self._repeat(once, deadline, doing)

    def refresh(self, error: Exception) -> Address | None:
        """Learn from an error where names are now; return the node to be asked instead, this once, if it named one."""
        refusal = refusal_of(error)
        self._topology.learn(refusal)
        return moved_to(refusal)[1] if refusal is not None and refusal.code == "ASK" else None

    def describe(self) -> str:
        """Name the servers for a message: `redis at 127.0.0.1:6379, database 0`."""
        return self.settings.describe()

    @property
    def identity(self) -> tuple[object, ...]:
        """Equal for instances that may share a connection: the same servers, spoken to by the same user."""
        return self._dialer.identity

    def check_open(self) -> None:
        """Raise ConnectorClosedError after `close`."""
        if self._is_closed:
            raise ConnectorClosedError(f"the connector to {self.describe()} is closed", remedy="open another")

    def close(self) -> None:
        """Close the connections of this process; those in use, when they come back."""
        self._is_closed = True
        for pool in list(self._pools.values()):
            pool.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self) -> tuple[str, ...]:
        """Find out what the servers promise: each of them, if a promise is asked for."""
        settings = self.settings
        deadline = time.monotonic() + min(settings.connect_timeout, settings.timeout)
        doing = "opening it"

        def ask(link: Link) -> Facts:
            return examine(link, deadline)

        try:
            if settings.durability == "volatile":
                facts = [self.run(ask, name=None, deadline=deadline, doing=doing)]
            else:
                facts = self.run_on_each(ask, deadline=deadline, doing=doing)
        except DeadlineError:
            # Whoever opens gave no deadline.
            raise ChannelUnavailableError(
                f"no answer in time from {self.describe()}",
                remedy="see to the server and the way to it, or give a longer connect_timeout="
                + ("; for a server without TLS use a scheme without s, as redis" if settings.is_tls else ""),
            ) from None
        self.evicts = any(one.evicts for one in facts)
        return check(settings.durability, facts, self.describe())

    def _repeat(self, once: Callable[[Address | None], T], deadline: float, doing: str, nbytes: int = 0) -> T:
        patience: Patience | None = None
        instead: Address | None = None
        while True:
            try:
                return once(instead)
            except PskError:
                raise
            except (OSError, RedisError, Refusal) as error:
                # Without the frames, among them this one: it would keep itself alive.
                trouble = error.with_traceback(None)
            # Not in the handler: what redis-py raised may repeat what was sent, and must not be chained.
            patience = patience or Patience(self.settings, deadline, doing, nbytes)
            patience.after(trouble)
            instead = self.refresh(trouble)

    def _topology_of(self, settings: Settings) -> Topology:
        if settings.cluster:
            return Cluster(settings.addresses, self._borrow)
        if settings.sentinel is not None:
            credentials = Credentials(settings, user=None, variable=SENTINEL_VARIABLE)
            return Sentinels(settings.addresses, settings.sentinel, Dialer(settings, credentials, db=0).dial)
        return Standalone(settings.addresses[0])

    def _borrow(self, address: Address, deadline: float, *, is_asking: bool = False) -> Borrowed:
        self.check_open()
        pool = self._pools.get(address)
        if pool is None:
            # Of two threads, one wins; the pool of the other is empty.
            pool = self._pools.setdefault(address, Pool(partial(self._dial, address), self.settings.connections))
        return Borrowed(pool, deadline, is_asking=is_asking)

    def _dial(self, address: Address, deadline: float) -> Link:
        """Connect; make sure that the server is what it should be, each time: it may have been started anew."""
        link = self._dialer.dial(address, deadline)
        try:
            self._topology.check(link, deadline)
            if self.settings.durability != "volatile":
                check(self.settings.durability, [examine(link, deadline)], f"the server at {address}")
        except BaseException:
            link.close()
            raise
        return link

    def _continue_in_child(self) -> None:
        for pool in self._pools.values():
            pool.forget()


_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def _continue_in_child() -> None:
    for server in list(_servers):
        server._continue_in_child()  # noqa: SLF001  of this file


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_continue_in_child)
