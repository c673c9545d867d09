"""What can be done with one object of a store, named by its key?"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from psk.errors import CapabilityError, InvalidKeyError, StoreClosedError
from psk.plugins.entry_points import is_mentioned
from psk.plugins.importing import on_demand
from psk.store.arguments import check_coder, check_lifetime
from psk.store.encoding import Encoder
from psk.store.keys import check_key, is_proxy
from psk.store.reading import MISSING, Reader
from psk.store.stat import ObjectStat, stat_of
from psk.store.waiting import wait_for_any

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence

    from psk.connectors import Connector, SupportsList
    from psk.store.config import StoreConfig
    from psk.store.lifetime import Lifetime
    from psk.store.limits import Limits
    from psk.store.metrics import StoreMetrics
    from psk.wire import Payload, Reference


class ObjectMethods:
    """The part of a store that knows keys and objects; see `Store`."""

    def __init__(self, connector: Connector, config: StoreConfig) -> None:
        self._connector = connector
        self._config = config
        self._closed = False
        self._encoder = Encoder(self._connector, config)
        self._reader = Reader(self._connector, config)
        self._metrics: StoreMetrics | None = None
        if config.metrics:
            with on_demand:
                from psk.store.metrics import instrument

            self._metrics = instrument(self)
        if is_mentioned(b"observer."):
            with on_demand:
                from psk.store.observing import observe

            observe(self)

    @property
    def metrics(self) -> StoreMetrics | None:
        """What the store counted and timed; None unless it was opened with `metrics=True`."""
        return self._metrics

    @property
    def uri(self) -> str:
        """The URI of the connector: what proxies of this store carry."""
        return str(self._config.connector)

    @property
    def shown_uri(self) -> str:
        """The URI for people to read: without what is, or may be, a password in it."""
        with on_demand:
            from psk.masking import masked_uri

        return masked_uri(self.uri)

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    def put(
        self,
        obj: Any,
        *,
        lifetime: Lifetime | None = None,
        serializer: str | Callable[[Any], Any] | None = None,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> str:
        """Store an object and give its key.

        Args:
            obj: Any object that pickle (or cloudpickle, where installed) can encode.
            lifetime: Evicts the object at its end; if it has a `ttl`, that is the object's where none is given.
            serializer: Registered codec name, or a callable that returns bytes, for this object only.
            ttl: Seconds after which the channel drops the object; None keeps it until it is evicted.
            timeout: Seconds the channel may take; None is the connector's default.
            hints: What the connector may use to place the object.

        Raises:
            SerializationError: The object cannot be encoded.
            ChannelFullError: The channel has no room; nothing was stored.
            CapabilityError: The channel does not keep expiry times, and `ttl` was given.
            ConnectorError: The channel failed.
            StoreClosedError: The store is closed.
        """
        self._check_open()
        ttl = ttl_of(lifetime, ttl)
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None)
        return self._place(payload, lifetime, ttl=ttl, timeout=timeout, hints=hints)

    def get(
        self,
        key: str,
        *,
        deserializer: str | Callable[[bytes], Any] | None = None,
        default: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Fetch an object; each call gives one that shares no memory with any other.

        What this store keeps at hand it gives even if another process has evicted the object meanwhile; `exists`
        always asks the channel.

        Args:
            key: The object's key.
            deserializer: Codec name, or a callable that takes the encoded bytes, instead of what the payload names.
            default: Returned if there is no such object.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            PayloadError: What the channel holds is damaged or another object.
            SigningError: A signature is missing or wrong.
            InvalidKeyError: The key is not one.
            ConnectorError: The channel failed.
            StoreClosedError: The store is closed.
        """
        if self._closed:
            self._check_open()
        if type(key) is not str:  # the form of a text is the connector's to check, once
            key = check_key(key)
        if deserializer is not None:
            check_coder("deserializer", deserializer)
        target = self._reader.read(key, deserializer=deserializer, timeout=timeout)
        return default if target is MISSING else target

    def exists(self, key: str, *, timeout: float | None = None) -> bool:
        """Tell whether the channel holds an object; the cache is not asked.

        Raises:
            ConnectorError: The channel failed.
        """
        self._check_open()
        if type(key) is not str:
            key = check_key(key)
        return self._connector.exists(key, timeout=timeout)

    def evict(self, key: str, *, timeout: float | None = None) -> None:
        """Delete an object from the channel and the cache; a missing one is no error.

        Raises:
            ConnectorError: The channel failed.
        """
        self._check_open()
        if type(key) is not str:
            key = check_key(key)
        self._reader.cache.drop(key)
        self._connector.evict(key, timeout=timeout)

    def is_cached(self, key: str) -> bool:
        """Tell whether `get` would be served from this store's cache.

        Payloads of 64 KiB and more enter it at their second fetch; see `Store`.
        """
        return check_key(key) in self._reader.cache

    def wait(self, keys: str | Sequence[str], *, timeout: float | None = None) -> builtins.list[str]:
        """Block until at least one of the keys has an object.

        Args:
            keys: One key or several.
            timeout: Seconds to wait at most; None is 60.

        Returns:
            Those keys that have one, at least one.

        Raises:
            DeadlineError: None of them had one in time.
        """
        self._check_open()
        several = not is_proxy(keys) and isinstance(keys, Iterable) and not isinstance(keys, str | bytes)
        wanted = [check_key(key) for key in (keys if several else [keys])]
        if not wanted:
            raise InvalidKeyError("there is no key to wait for", remedy="pass at least one")
        return wait_for_any(self._connector, wanted, timeout)

    def stat(self, key: str, *, timeout: float | None = None) -> ObjectStat | None:
        """Describe an object without decoding it; None if there is no such object.

        Raises:
            PayloadError: What the channel holds is no payload.
            ConnectorError: The channel failed.
        """
        self._check_open()
        return stat_of(self._connector, check_key(key), timeout)

    def list(self, *, timeout: float | None = None) -> builtins.list[str]:
        """Give the keys of all objects that the channel holds.

        Raises:
            CapabilityError: The channel cannot list.
        """
        self._check_open()
        return [*self._listing("list its objects").keys(timeout=timeout)]

    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk put into the channel, on purpose, whoever put it; give their number.

        Raises:
            CapabilityError: The channel cannot list, so it cannot clear.
        """
        self._check_open()
        try:
            return self._listing("clear itself").clear(timeout=timeout)
        finally:
            # Not before: a get meanwhile would bring back what goes.
            self._reader.cache.clear()

    def resolve_reference(
        self, reference: Reference, deserializer: Any = None, *, codecs: str | None = None, limits: Limits = ()
    ) -> tuple[bool, Any]:
        """Fetch what a proxy refers to, and evict it if the reference says so.

        Args:
            reference: What the proxy carries.
            deserializer: As of `get`.
            codecs: `"raw"` narrows what may be decoded; None leaves it to the store.
            limits: What proxies found in the object must keep to, beside the store's own limit.

        Returns:
            Whether there is such an object, and the object.

        Raises:
            PskError: As `get`.
        """
        self._check_open()
        read = self._reader.read_reference
        target = read(reference, deserializer=deserializer, codecs=codecs, limits=limits)
        if target is MISSING and reference.wait:
            wait_for_any(self._connector, [reference.key], reference.timeout)
            target = read(reference, deserializer=deserializer, codecs=codecs, limits=limits)
        if target is MISSING:
            return False, None
        if reference.evict:
            self.evict(reference.key)
        return True, target

    def _place(self, payload: Payload, lifetime: Lifetime | None, **options: Any) -> str:
        key = self._connector.put(payload, **options)
        self._attach(lifetime, key)
        return key

    def _attach(self, lifetime: Lifetime | None, *keys: str) -> None:
        if lifetime is not None:
            lifetime.add_key(*keys, store=self)  # type: ignore[arg-type]  # self is a Store

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError(
                f"store {self._config.name!r} ({self.shown_uri}) is closed",
                remedy="open it again with Store.from_config or Store.from_uri",
            )

    def _listing(self, wish: str) -> SupportsList:
        from psk.connectors import SupportsList

        connector: SupportsList = self._having(SupportsList, wish, "keep the keys, and evict them one by one")
        return connector

    def _having(self, capability: Any, wish: str, remedy: str) -> Any:
        """Give the connector if it has a capability; otherwise say what is impossible without it."""
        if not isinstance(self._connector, capability):
            raise CapabilityError(
                f"store {self._config.name!r} cannot {wish}: channel {self._connector.scheme!r} has no "
                f"{capability.__name__}",
                remedy=remedy,
            )
        return self._connector


def ttl_of(lifetime: Lifetime | None, ttl: float | None) -> float | None:
    """Give the time to live of a new object: what the caller says, else what its lifetime does.

    Raises:
        StoreConfigError: The lifetime is not one.
    """
    if lifetime is None:
        return ttl
    check_lifetime(lifetime)
    return getattr(lifetime, "ttl", None) if ttl is None else ttl
