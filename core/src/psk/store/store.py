"""The front door: put objects in, get objects or proxies of them out, over one connector."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import nullcontext
from functools import wraps
from typing import TYPE_CHECKING, Any, Generic, Never, Protocol, TypeAlias, TypeVar, cast, runtime_checkable

from psk.background import submit
from psk.connectors import check_timeout, join_connector, open_connector
from psk.errors import InvalidKeyError, PatternMissingError, StoreClosedError, StoreConfigError, StoreExistsError
from psk.plugins.entry_points import is_mentioned
from psk.plugins.importing import on_demand
from psk.proxy import Proxy, ProxyLocker, is_proxy
from psk.store.channel import Channel, ObjectStat
from psk.store.config import DEFAULTS, StoreConfig, check_coder, check_key, check_kind, several, ttl_of
from psk.store.encoder import Encoder
from psk.store.factory import ConnectorT_co, ProxyMaker, check_proxy_options, is_proxiable, store_factory
from psk.store.reader import MISSING, Reader
from psk.store.registry import find_by_name, find_registered, opened_for_proxies, register_store, unregister_store
from psk.wire import new_object_id, shown_uri

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Mapping, Sequence
    from contextlib import AbstractContextManager
    from types import TracebackType
    from typing import Self

    from psk.store.events import Events, StoreMetrics
    from psk.store.trust import Limits
    from psk.wire import Reference

#: The name of a registered codec, or a function from object to bytes, or from bytes to object; None takes the default.
Serializer: TypeAlias = "str | Callable[[Any], Any] | None"
Deserializer: TypeAlias = "str | Callable[[bytes], Any] | None"
T = TypeVar("T")
MethodT = TypeVar("MethodT", bound="Callable[..., Any]")


@runtime_checkable
class Lifetime(Protocol):
    """Something at whose end the objects attached to it are evicted; psk-patterns has some.

    A lifetime may have an attribute `ttl`, in seconds: then the channel itself drops the objects that are put for it
    when nobody renews them any more.
    """

    def add_key(self, *keys: str, store: Store) -> None:
        """Attach the objects of these keys in `store`."""

    def add_proxy(self, *proxies: Any) -> None:
        """Attach the objects of these proxies."""

    def close(self) -> None:
        """End: evict everything attached."""

    def done(self) -> bool:
        """Tell whether it has ended."""


def _operation(name: str) -> Callable[[MethodT], MethodT]:
    """Mark a method as an operation: a closed store refuses it, and subscribers hear of it under this name.

    The calls that take less than a microsecond test `_direct` themselves: a wrapper would double their time.
    """

    def mark(method: MethodT) -> MethodT:
        @wraps(method)
        def call(self: Store, *args: Any, **options: Any) -> Any:
            if self._direct:
                return method(self, *args, **options)
            return self._reported(name, method, self, *args, **options)

        return cast("MethodT", call)

    return mark


@opened_for_proxies
class Store(Generic[ConnectorT_co]):
    """Put objects into a channel and pass on proxies of them.

    A store is safe to use from many threads, survives a fork, and can be pickled. Closing it deletes nothing. In
    annotations it takes the class of its connector, as in `Store[FileConnector]`.

    Args:
        name: Names the store in this process. Proxies find their objects by the connector's URI, never by this name.
        connector: A connector, or its URI as in `file:///scratch/psk?durability=disk`.
        serializer: Registered codec name, or a callable from object to bytes; None chooses by the object's type.
        deserializer: Codec name, or a callable from bytes to object; None decodes what the payload names. It applies to
            this store, not to the processes that resolve its proxies.
        cache_size: Objects cached at most; 0 caches none.
        cache_bytes: Bytes of all cached objects at most. Immutable built-ins are cached themselves. Of other objects
            the payload is cached, from which each `get` decodes an object of its own; payloads of 64 KiB and more from
            their second fetch on.
        cache: `"payloads"`, or `"objects"` to cache every decoded object itself: all users of a key then share one.
        metrics: Count and time what the store does; see `metrics`.
        populate_target: Let new proxies use the object they were made from, in this process.
        register: Make the store known to `get_store` and to proxies of its channel.
        verify: None adds and checks a checksum where bytes leave this host's memory; True requires one; False does
            neither.
        signing: `"required"` refuses what is unsigned; the default once a key is given. `"optional"` otherwise.
        signing_key: Name of the key that signs payloads and references; never the key itself.
        codecs: `"raw"` decodes only bytes, bytearray, memoryview and str, and no pickle; `"any"` decodes all.
        trusted: URI patterns (as of `psk.set_policy`) of the channels, in addition to the store's own, that proxies
            found in its objects may open in this process, and so on with what they find there; None leaves it to the
            process.

    Raises:
        StoreConfigError: An option is not valid.
        StoreExistsError: `register` is set and the name is taken.
        UnknownConnectorError: No connector is installed for the URI's scheme.
        ConnectorError: The channel cannot be opened.
        SigningKeyMissingError: This process does not have the signing key.
    """

    def __init__(
        self,
        name: str,
        connector: ConnectorT_co | str,
        *,
        serializer: Serializer = None,
        deserializer: Deserializer = None,
        cache_size: int = DEFAULTS["cache_size"],
        cache_bytes: int = DEFAULTS["cache_bytes"],
        cache: str = "payloads",
        metrics: bool = False,
        populate_target: bool = True,
        register: bool = False,
        verify: bool | None = None,
        signing: str | None = None,
        signing_key: str | None = None,
        codecs: str = "any",
        trusted: Iterable[str] | None = None,
    ) -> None:
        # Each keyword argument is the option of its name.
        options = {option: value for option, value in locals().items() if option in DEFAULTS}
        config = StoreConfig(name, connector, **options)
        opened = open_connector(connector) if isinstance(connector, str) else connector
        try:
            # A URI such as `local://` names no place until it is opened: proxies must carry the one that does.
            self._asked_for, config.connector = config.connector, opened.uri()
            self._config = config
            self._channel = Channel(opened, name, _events_of(config))
            self._encoder = Encoder(self._channel, config)
            self._reader = Reader(self._channel, config)
            self._proxies = ProxyMaker(config, self._encoder.signing_key)
            self._metrics = cast("Events", self._channel.events).count(self._reader.cache) if metrics else None
            self._closed = False
            #: Whether operations can start at once: the store is open, and nobody hears of them.
            self._direct = self._channel.events is None
            if register:
                register_store(self)
        except BaseException:
            if opened is not connector:
                opened.close()
            raise

    @classmethod
    def from_uri(cls, uri: str, *, name: str | None = None, **options: Any) -> Self:
        """Open a store from a connector's URI, named after it by default; options and errors as of `Store`."""
        return cls(_name_after(uri) if name is None else name, uri, **options)

    @classmethod
    def join(cls, uri: str, *, name: str | None = None, **options: Any) -> Self:
        """Open a store as `from_uri` does, but create no directory or session for it, as a reader should.

        Raises:
            ChannelUnavailableError: There is none, or it cannot be reached from here.
        """
        connector: Any = join_connector(uri)
        try:
            return cls(_name_after(uri) if name is None else name, connector, **options)
        except BaseException:
            connector.close()
            raise

    @classmethod
    def from_config(cls, config: StoreConfig, *, register: bool | None = None) -> Self:
        """Open a store that was configured elsewhere.

        Args:
            config: What `config()` returned.
            register: Overrides the configuration's choice.

        Raises:
            PskError: As `Store`.
        """
        check_kind("a StoreConfig", config, StoreConfig, "give what `config()` returned")
        options = dict(config.options)
        if register is not None:
            options["register"] = register
        return cls(config.name, config.connector, **options)

    def config(self) -> StoreConfig:
        """Return what rebuilds this store in another process; it can be pickled and written to TOML."""
        return self._config

    def is_configured_as(self, config: StoreConfig) -> bool:
        """Tell whether opening `config` would return a store like this one, over the same channel."""
        check_kind("a StoreConfig", config, StoreConfig, "give what `config()` returned")
        own = self._config
        if config.connector == self._asked_for:
            own = StoreConfig(own.name, self._asked_for, **own.options)
        return config == own

    @property
    def name(self) -> str:
        """The store's name in this process."""
        return self._config.name

    @property
    def connector(self) -> ConnectorT_co:
        """The connector that moves this store's bytes."""
        return cast("ConnectorT_co", self._channel.connector)

    @property
    def uri(self) -> str:
        """The URI of the connector: what proxies of this store carry."""
        return str(self._config.connector)

    @property
    def shown_uri(self) -> str:
        """The URI for people to read: without what is, or may be, a password in it."""
        return shown_uri(self.uri)

    @property
    def metrics(self) -> StoreMetrics | None:
        """What the store counted and timed; None unless it was opened with `metrics=True`."""
        return self._metrics

    @property
    def closed(self) -> bool:
        """Whether `close()` was called."""
        return self._closed

    def close(self, timeout: float | None = None) -> None:
        """Release what the store opened, and delete nothing; closing twice is not an error.

        A proxy of a closed store still resolves: it opens its channel again.

        Args:
            timeout: Seconds to wait for deliveries that the channel accepted and has not completed.

        Raises:
            DeadlineError: Some are not complete; the store is closed all the same.
        """
        if self._closed:
            return
        self._closed, self._direct = True, False
        unregister_store(self)
        self._reader.cache.clear()
        self._channel.connector.close(timeout=timeout)

    def supports(self, *capabilities: type) -> bool:
        """Tell whether the channel has all of these capabilities.

        Args:
            capabilities: Protocols of `psk.connectors`, such as `SupportsTake`.
        """
        return all(capability.__name__ in self._channel.capabilities for capability in capabilities)

    @_operation("store.put")
    def put(
        self,
        obj: Any,
        *,
        lifetime: Lifetime | None = None,
        serializer: Serializer = None,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> str:
        """Store an object and return its key.

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
        if lifetime is not None:
            ttl = ttl_of(lifetime, ttl)
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None)
        key: str = self._channel.shortest.put(payload, ttl=ttl, timeout=timeout, hints=hints)
        if lifetime is not None:
            lifetime.add_key(key, store=self)
        return key

    @_operation("store.put_batch")
    def put_batch(
        self,
        objs: Iterable[Any],
        *,
        lifetime: Lifetime | None = None,
        serializer: Serializer = None,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> builtins.list[str]:
        """Store several objects and return their keys, in order; arguments and errors as of `put`."""
        ttl = ttl_of(lifetime, ttl)
        payloads = [self._encoder.encode(obj, serializer, expires=ttl is not None) for obj in several("objs", objs)]
        keys = self._channel.put_batch(payloads, ttl=ttl, timeout=timeout, hints=hints)
        if lifetime is not None:
            lifetime.add_key(*keys, store=self)
        return keys

    def get(
        self, key: str, *, deserializer: Deserializer = None, default: Any = None, timeout: float | None = None
    ) -> Any:
        """Fetch an object; each call returns one that shares no memory with any other.

        A cached object is returned even if another process has evicted it meanwhile; `exists` always asks the channel.

        Args:
            key: The object's key.
            deserializer: Codec name, or a callable that takes the encoded bytes, instead of what the payload names.
            default: Returned if there is no such object.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            PayloadError: What the channel holds is damaged or a different object.
            SigningError: A signature is missing or wrong.
            InvalidKeyError: The key is not one.
            ConnectorError: The channel failed.
            StoreClosedError: The store is closed.
        """
        if type(key) is not str:  # the connector checks the form of a string
            key = check_key(key)
        if deserializer is not None:
            check_coder("deserializer", deserializer)
        if self._direct:
            return self._reader.read(key, default, deserializer, timeout)
        return self._reported("store.get", self._reader.read, key, default, deserializer, timeout)

    @_operation("store.get_batch")
    def get_batch(
        self,
        keys: Iterable[str],
        *,
        deserializer: Deserializer = None,
        default: Any = None,
        timeout: float | None = None,
    ) -> builtins.list[Any]:
        """Fetch several objects, in order; `default` is returned for each missing one. Errors as of `get`."""
        check_coder("deserializer", deserializer)
        wanted = [check_key(key) for key in several("keys", keys)]
        return self._reader.read_batch(wanted, default=default, deserializer=deserializer, timeout=timeout)

    def exists(self, key: str, *, timeout: float | None = None) -> bool:
        """Tell whether the channel holds an object; the cache is not asked.

        Raises:
            ConnectorError: The channel failed.
        """
        if type(key) is not str:
            key = check_key(key)
        if self._direct:
            return bool(self._channel.connector.exists(key, timeout=timeout))
        return bool(self._reported("store.exists", self._channel.connector.exists, key, timeout=timeout))

    def evict(self, key: str, *, timeout: float | None = None) -> None:
        """Delete an object from the channel and the cache; a missing one is not an error.

        Raises:
            ConnectorError: The channel failed.
        """
        if type(key) is not str:
            key = check_key(key)
        self._reader.cache.drop(key)
        if self._direct:
            self._channel.connector.evict(key, timeout=timeout)
        else:
            self._reported("store.evict", self._channel.evict, key, timeout=timeout)

    @_operation("store.evict_batch")
    def evict_batch(self, keys: Iterable[str], *, timeout: float | None = None) -> None:
        """Delete several objects; missing ones are not an error. Errors as of `evict`."""
        wanted = [check_key(key) for key in several("keys", keys)]
        for key in wanted:
            self._reader.cache.drop(key)
        self._channel.evict_batch(wanted, timeout=timeout)

    def is_cached(self, key: str) -> bool:
        """Tell whether the cache of this store would serve `get`.

        Payloads of 64 KiB and more enter it at their second fetch; see `Store`.
        """
        return check_key(key) in self._reader.cache.entries

    @_operation("store.wait")
    def wait(self, keys: str | Sequence[str], *, timeout: float | None = None) -> builtins.list[str]:
        """Block until at least one of the keys has an object.

        Args:
            keys: One key or several.
            timeout: Seconds to wait at most; None is 60.

        Returns:
            Those keys that have an object, at least one.

        Raises:
            DeadlineError: None of them had one in time.
        """
        is_several = not is_proxy(keys) and isinstance(keys, Iterable) and not isinstance(keys, str | bytes)
        wanted = [check_key(key) for key in (keys if is_several else [keys])]
        if not wanted:
            raise InvalidKeyError("there is no key to wait for", remedy="pass at least one")
        return self._channel.wait(wanted, timeout=timeout)

    @_operation("store.stat")
    def stat(self, key: str, *, timeout: float | None = None) -> ObjectStat | None:
        """Describe an object without decoding it; None if there is no such object.

        Raises:
            PayloadError: What the channel holds is not a payload.
            ConnectorError: The channel failed.
        """
        return self._channel.stat(check_key(key), timeout=timeout)

    @_operation("store.list")
    def list(self, *, timeout: float | None = None) -> builtins.list[str]:
        """Return the keys of all objects that the channel holds.

        Raises:
            CapabilityError: The channel cannot list.
        """
        return [*self._channel.supported("keys")(timeout=timeout)]

    @_operation("store.clear")
    def clear(self, *, timeout: float | None = None) -> int:
        """Delete every object that psk put into the channel, in any process, and return their number.

        Raises:
            CapabilityError: The channel cannot list, so it cannot clear.
        """
        try:
            return int(self._channel.supported("clear")(timeout=timeout))
        finally:
            # Afterwards: a get in another thread would bring back what is being deleted.
            self._reader.cache.clear()

    @_operation("store.reserve")
    def reserve(self, *, ttl: float | None = None, timeout: float | None = None) -> str:
        """Name an object that does not exist yet.

        The key can be sent on at once: `wait` waits for its object, and so does `proxy_from_key(key, wait=True)`.

        Args:
            ttl: Seconds for which the channel keeps the reservation, if it keeps any.
            timeout: Seconds the channel may take; None is the connector's default.

        Returns:
            The key, for `fulfil`.

        Raises:
            CapabilityError: The channel chooses its keys itself.
            ConnectorError: The channel failed.
        """
        return str(self._channel.supported("reserve")(new_object_id(), ttl=ttl, timeout=timeout))

    @_operation("store.fulfil")
    def fulfil(
        self,
        key: str,
        obj: Any,
        *,
        serializer: Serializer = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Store the object of a key that `reserve` returned, once; the other arguments are those of `put`.

        Raises:
            KeyExistsError: The key has its object already.
            PskError: As `put`.
        """
        key = check_key(key)
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None, key=key)
        self._channel.send("fulfil", key, payload, ttl=ttl, timeout=timeout)

    @_operation("store.renew")
    def renew(self, key: str, ttl: float | None, *, timeout: float | None = None) -> bool:
        """Let an object expire `ttl` seconds from now, by the channel's own clock.

        Args:
            key: The object's key.
            ttl: Seconds; None keeps it until it is evicted.
            timeout: Seconds the channel may take; None is the connector's default.

        Returns:
            False if the object no longer exists.

        Raises:
            CapabilityError: The channel does not keep expiry times.
            ConnectorError: The channel failed.
        """
        return bool(self._channel.supported("renew")(check_key(key), ttl, timeout=timeout))

    @_operation("store.take")
    def take(
        self,
        key: str,
        claim: str,
        *,
        lease: float | None = None,
        deserializer: Deserializer = None,
        default: Any = None,
        timeout: float | None = None,
    ) -> Any:
        """Claim an object and fetch it: of many claimants exactly one gets it, until `evict` ends the claim.

        Args:
            key: The object's key.
            claim: Who asks: 1 to 128 printable ASCII characters. The same claim asking again gets the object again.
            lease: Seconds after which an object that was not evicted may be claimed by others; None: never.
            deserializer: As of `get`.
            default: Returned if there is no such object, or another claim has it.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            CapabilityError: The channel cannot decide between claimants.
            PskError: As `get`.
        """
        check_coder("deserializer", deserializer)
        key = check_key(key)
        frames = self._channel.take(key, claim, lease=lease, timeout=timeout)
        return self._reader.accept(key, frames, default, deserializer)

    @_operation("store.swap")
    def swap(
        self,
        key: str,
        obj: Any,
        *,
        revision: int,
        serializer: Serializer = None,
        ttl: float | None = None,
        timeout: float | None = None,
    ) -> None:
        """Put the next version of an object in its place, if nobody else did so first.

        Caches of other stores may continue to serve the version they hold, unless the object was put with a `ttl`:
        such objects are never cached.

        Args:
            key: The object's key.
            obj: The new version.
            revision: The number of the new version: the current one's, as of `stat`, plus 1.
            serializer: As of `put`.
            ttl: Seconds after which the channel drops it; None leaves the expiry as it is.
            timeout: Seconds the channel may take; None is the connector's default.

        Raises:
            RevisionConflictError: The current version is another.
            MissingKeyError: The key has no object.
            CapabilityError: The channel cannot swap.
            PskError: As `put`.
        """
        key = check_key(key)
        # A channel that leaves the expiry as it is tells nobody whether there is one: no version may be cached.
        payload = self._encoder.encode(obj, serializer, expires=True, key=key, revision=revision)
        try:
            self._channel.send("swap", key, payload, ttl=ttl, timeout=timeout)
        finally:
            self._reader.cache.drop(key)

    @_operation("store.proxy")
    def proxy(
        self,
        obj: T,
        *,
        evict: bool = False,
        lifetime: Lifetime | None = None,
        serializer: Serializer = None,
        deserializer: Deserializer = None,
        populate_target: bool | None = None,
        skip_nonproxiable: bool = False,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Proxy[T]:
        """Store an object and return a proxy of it, which any process can use as if it were the object.

        Args:
            obj: The object; None and booleans cannot be proxied, since code compares them by identity.
            evict: Delete the object from the channel once a proxy of it has been resolved. Such a proxy is not
                populated unless asked, so that its first use, in whatever process, evicts. Of several that are resolved
                at the same moment more than one may succeed; `take` lets exactly one win.
            lifetime: Evicts the object at its end; excludes `evict`.
            serializer: As of `put`.
            deserializer: Decode with this callable, or codec, in this process. Such a proxy cannot travel, unless the
                payload names that codec anyway. Since nobody knows what the callable will return, the proxy resolves
                when it is asked for its class or hash.
            populate_target: Let the proxy use `obj` itself in this process, so that it need not be fetched here;
                None takes the store's choice, where decoding is known to return an object of the same type. A populated
                proxy shows later changes of `obj`; others never do.
            skip_nonproxiable: Return what cannot be proxied as it is, instead of raising.
            ttl: As of `put`.
            timeout: As of `put`.
            hints: As of `put`.

        Raises:
            NonProxiableTypeError: `obj` is None or a boolean.
            StoreConfigError: Both `evict` and `lifetime` are given.
            PskError: As `put`.
        """
        check_proxy_options(evict, lifetime, deserializer)
        ttl = ttl_of(lifetime, ttl)
        if not is_proxiable(obj, skip_nonproxiable):
            return obj  # type: ignore[return-value]  # the caller asked for objects that cannot be proxied as they are
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None)
        key: str = self._channel.shortest.put(payload, ttl=ttl, timeout=timeout, hints=hints)
        if lifetime is not None:
            lifetime.add_key(key, store=self)
        return self._proxies.of_object(self, obj, key, payload, evict, serializer, deserializer, populate_target)

    @_operation("store.proxy_batch")
    def proxy_batch(
        self,
        objs: Iterable[T],
        *,
        evict: bool = False,
        lifetime: Lifetime | None = None,
        serializer: Serializer = None,
        deserializer: Deserializer = None,
        populate_target: bool | None = None,
        skip_nonproxiable: bool = False,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> builtins.list[Proxy[T]]:
        """Store several objects and return their proxies, in order; arguments and errors as of `proxy`."""
        check_proxy_options(evict, lifetime, deserializer)
        ttl = ttl_of(lifetime, ttl)
        made: builtins.list[Any] = several("objs", objs)
        places = [place for place, obj in enumerate(made) if is_proxiable(obj, skip_nonproxiable)]
        payloads = [self._encoder.encode(made[place], serializer, expires=ttl is not None) for place in places]
        keys = self._channel.put_batch(payloads, ttl=ttl, timeout=timeout, hints=hints)
        if lifetime is not None:
            lifetime.add_key(*keys, store=self)
        options = evict, serializer, deserializer, populate_target
        for place, key, payload in zip(places, keys, payloads, strict=True):
            made[place] = self._proxies.of_object(self, made[place], key, payload, *options)
        return made

    def proxy_from_key(
        self,
        key: str,
        *,
        evict: bool = False,
        wait: bool = False,
        timeout: float | None = None,
        lifetime: Lifetime | None = None,
        deserializer: Deserializer = None,
    ) -> Proxy[Any]:
        """Return a proxy of an object that was put before, or reserved; only its first use asks whether it exists.

        Args:
            key: The object's key.
            evict: As of `proxy`.
            wait: Let the first use wait for an object that does not exist yet, instead of failing.
            timeout: Seconds that it waits at most, in whatever process it is; None is 60.
            lifetime: As of `proxy`.
            deserializer: As of `proxy`.

        Raises:
            InvalidKeyError: The key is not one.
            InvalidArgumentError: The timeout is not one.
            StoreConfigError: Both `evict` and `lifetime` are given, or a timeout without `wait`.
        """
        check_proxy_options(evict, lifetime, deserializer)
        ttl_of(lifetime, None)
        self._check_open()
        key = check_key(key)
        check_timeout(timeout)
        if timeout is not None and not wait:
            raise StoreConfigError("timeout= says how long to wait, and wait= is not set", remedy="give wait=True")
        if lifetime is not None:
            lifetime.add_key(key, store=self)
        return self._proxies.of_key(self, key, deserializer, evict=evict, wait=wait, timeout=timeout)

    def locked_proxy(self, obj: T, *, skip_nonproxiable: bool = True, **options: Any) -> ProxyLocker[T]:
        """Store an object and return its proxy in a lock that prevents it from being resolved by accident.

        Arguments and errors are those of `proxy`; `unlock()` returns the proxy.
        """
        proxy = self.proxy(obj, skip_nonproxiable=skip_nonproxiable, **options)
        return ProxyLocker(proxy) if isinstance(proxy, Proxy) else proxy

    def owned_proxy(self, *_args: Any, **_options: Any) -> Never:
        """Raise PatternMissingError: psk-patterns has ownership."""
        raise PatternMissingError(
            "Store.owned_proxy is not part of psk-core",
            remedy="pip install psk-patterns and use psk_patterns.owned_proxy(store, obj)",
        )

    def future(self, *_args: Any, **_options: Any) -> Never:
        """Raise PatternMissingError: psk-patterns has futures."""
        raise PatternMissingError(
            "Store.future is not part of psk-core",
            remedy="pip install psk-patterns and use psk_patterns.future(store)",
        )

    @_operation("factory.resolve")
    def resolve_reference(
        self, reference: Reference, deserializer: Any = None, *, codecs: str | None = None, limits: Limits = ()
    ) -> tuple[bool, Any]:
        """Fetch what a proxy refers to, and evict it if the reference says so.

        Args:
            reference: What the proxy carries.
            deserializer: As of `get`.
            codecs: `"raw"` narrows what may be decoded; None leaves it to the store.
            limits: What proxies found in the object must satisfy, in addition to the store's own limit.

        Returns:
            Whether there is such an object, and the object.

        Raises:
            PskError: As `get`.
        """
        key = reference.key
        options: dict[str, Any] = {"reference": reference, "codecs": codecs, "limits": limits}
        target = self._reader.read(key, MISSING, deserializer, **options)
        if target is MISSING and reference.wait:
            self._channel.wait([key], timeout=reference.timeout)
            target = self._reader.read(key, MISSING, deserializer, **options)
        if target is MISSING:
            return False, None
        if reference.evict:
            self.evict(key)
        return True, target

    # Where the channel has coroutines, encoding and decoding run in the loop. Elsewhere each call runs as a whole in a
    # bounded pool of daemon threads.

    async def aput(
        self, obj: Any, *, lifetime: Lifetime | None = None, serializer: Serializer = None, **options: Any
    ) -> str:
        """Store an object and return its key; arguments and errors as of `put`."""
        if "SupportsAsync" not in self._channel.capabilities:
            return await _in_background(self.put, obj, lifetime=lifetime, serializer=serializer, **options)
        with self._running("store.put"):
            options["ttl"] = ttl_of(lifetime, options.get("ttl"))
            payload = self._encoder.encode(obj, serializer, expires=options["ttl"] is not None)
            key = await self._channel.aput(payload, **options)
            if lifetime is not None:
                lifetime.add_key(key, store=self)
        return key

    async def aget(self, key: str, *, default: Any = None, timeout: float | None = None, **options: Any) -> Any:
        """Fetch an object; arguments and errors as of `get`."""
        key = check_key(key)
        if options or key in self._reader.cache.entries or "SupportsAsync" not in self._channel.capabilities:
            return await _in_background(self.get, key, default=default, timeout=timeout, **options)
        with self._running("store.get"):
            return self._reader.accept(key, await self._channel.aget(key, timeout=timeout), default)

    async def aproxy(self, obj: T, **options: Any) -> Proxy[T]:
        """Store an object and return its proxy; options and errors as of `proxy`."""
        return await _in_background(self.proxy, obj, **options)

    async def await_key(self, key: str, *, timeout: float | None = None) -> str:
        """Wait until a key has an object, and return the key; errors as of `wait`."""
        return (await _in_background(self.wait, key, timeout=timeout))[0]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"Store({self.name!r}, {self.shown_uri!r}{', closed' if self._closed else ''})"

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_store, (self._config,)

    def _reported(self, name: str, function: Callable[..., T], *args: Any, **options: Any) -> T:
        with self._running(name):
            return function(*args, **options)

    def _running(self, name: str) -> AbstractContextManager[object]:
        self._check_open()
        events = self._channel.events
        return nullcontext() if events is None else events.running(name)

    def _check_open(self) -> None:
        if self._closed:
            raise StoreClosedError(
                f"store {self._config.name!r} ({self.shown_uri}) is closed",
                remedy="open it again with Store.from_config or Store.from_uri",
            )


def restore_store(config: StoreConfig) -> Store:
    """Rebuild a store that travelled: the registered one of the same configuration, or a new one.

    Raises:
        PskError: As `Store`.
    """
    return find_registered(config) or Store.from_config(config, register=False)


restore_store.__module__ = "psk.store"  # as it is named in pickles


def get_store(name_or_proxy: str | Proxy[Any]) -> Store | None:
    """Find the store of a name, or of a proxy.

    Returns:
        The registered store of that name, or None. For a proxy, the store that resolves it.

    Raises:
        ProxyStoreFactoryError: The proxy was not made by a store.
    """
    found: Store | None
    found = store_factory(name_or_proxy).store() if isinstance(name_or_proxy, Proxy) else find_by_name(name_or_proxy)
    return found


def get_or_create_store(config: StoreConfig, *, register: bool = True) -> Store:
    """Return the registered store of a configuration, or open it.

    Raises:
        StoreExistsError: The name is taken by a store of another configuration.
    """
    check_kind("a StoreConfig", config, StoreConfig, "give what `config()` returned")
    known: Store | None = find_registered(config)
    if known is not None:
        return known
    store = Store.from_config(config, register=False)
    try:
        if register:
            register_store(store)
    except StoreExistsError:
        store.close()
        raise
    return store


def _events_of(config: StoreConfig) -> Events | None:
    if not (config.metrics or is_mentioned(b"observer.")):
        return None
    with on_demand:
        from psk.store.events import events_of

    return events_of(config.name, wanted=config.metrics)


def _name_after(uri: str) -> str:
    if isinstance(uri, str) and any(mark in uri for mark in "@?"):  # every message shows the name
        return shown_uri(uri)
    return uri


async def _in_background(call: Callable[..., T], *args: Any, **options: Any) -> T:
    import asyncio  # takes 30 ms, and a caller that awaits has imported it

    return await asyncio.wrap_future(submit(lambda: call(*args, **options)))
