"""Make the proxies of stores, and resolve them: a reference, and the way from it to the object."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic

from psk.connectors.catalog import provider_of
from psk.errors import (
    CodecNotPortableError,
    NonProxiableTypeError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    ProxyStoreFactoryError,
    StoreConfigError,
    UnknownConnectorError,
)
from psk.proxy import Proxy, get_factory, is_hashed_by_value, make_proxy, protocols_of
from psk.store.config import check_coder
from psk.store.registry import store_for
from psk.store.trust import check_limits, get_policy, limits_in_force
from psk.wire import Reference, code_of, codec_for, is_builtin_code, portable_hash, type_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # in typing its `default` is there from Python 3.13 on

    from psk.connectors import Connector
    from psk.store.config import StoreConfig
    from psk.store.trust import Limits
    from psk.wire import Payload, SigningKey

    ConnectorT_co = TypeVar("ConnectorT_co", bound=Connector, covariant=True, default=Connector)
    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    ConnectorT_co = TypeVar("ConnectorT_co", covariant=True)
    T = TypeVar("T")
#: Equal URIs as one object, so that proxies which arrive separately share it when they travel on together.
_uris: dict[str, str] = {}
MOST_URIS = 1024
#: Hashing longer objects would cost more than it can save.
LONGEST_HASHED = 4096
SIZED_HASHABLES = (bytes, str, tuple, frozenset)
#: Codecs that return an object of the type that they encoded, whatever it is.
FAITHFUL_CODECS = ("pickle", "cloudpickle")


class StoreFactory(Generic[ConnectorT_co, T]):
    """Fetch the object that a reference names, from whatever process it is called in.

    In annotations it takes the classes of connector and object, as in `StoreFactory[FileConnector, Model]`.

    Args:
        reference: Channel, key and what is known of the object.
        store: The `psk.Store` that made the object; None finds or opens one for the reference's channel.
        deserializer: What decodes the object, if not the codec that the payload names.
        private: What encoded or decodes the object and has no place in a reference: a callable that exists only in this
            process, or a codec other than the payload's; None lets the factory travel.
    """

    __slots__ = ("_foreign", "_limits", "_private", "_store", "deserializer", "reference")

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)  # with any number of arguments, as Proxy

    def __init__(
        self, reference: Reference, store: Any = None, deserializer: Any = None, *, private: Any = None
    ) -> None:
        self.reference = reference
        self.deserializer = deserializer
        self._private = private
        self._store = store
        self._foreign = store is None
        # Those of the stores in whose objects the reference was found.
        self._limits: Limits = limits_in_force() if store is None else ()

    def __repr__(self) -> str:
        return f"StoreFactory({self.reference.shown_uri!r}, {self.reference.key!r})"

    def store(self) -> Any:
        """Return the `psk.Store` that resolves this reference; a closed one is replaced by one for the same channel.

        Raises:
            SigningError: The reference is unsigned or forged where that matters.
            UntrustedChannelError: This process does not open that channel for proxies, or a store in whose objects
                the proxy was found does not.
            UnknownConnectorError: No connector is installed for its scheme.
        """
        if self._limits:
            check_limits(self._limits, self.reference)
        if self._store is None or self._store.closed:
            try:
                self._store = store_for(self.reference)
            except UnknownConnectorError as error:
                raise _needs_connector(self.reference, error) from error
        elif self._foreign:  # the policy may have changed since the store was found
            get_policy().admit(self.reference)
        return self._store

    def resolve(self) -> T:
        """Fetch the object; evict it afterwards if the reference says so.

        Raises:
            ProxyResolveMissingKeyError: The object is gone.
            ProxyResolveError: Anything else went wrong; the reason is its `cause`.
        """
        reference = self.reference
        try:
            store = self.store()
            # The policy of the process applies to what arrived from outside, as well as the store's own rules.
            codecs = "raw" if self._foreign and get_policy().codecs == "raw" else None
            found, target = store.resolve_reference(reference, self.deserializer, codecs=codecs, limits=self._limits)
        except Exception as error:
            raise ProxyResolveError(
                f"cannot resolve object {reference.key} of {reference.shown_uri}: {error}", remedy="see its cause"
            ) from error
        if not found:
            missing = f"no object {reference.key} in store {store.name!r} ({reference.shown_uri})"
            raise ProxyResolveMissingKeyError(
                missing, remedy="it was evicted, has expired, or was never put; keep it until its last reader is done"
            ) from ProxyResolveMissingKeyError(missing)
        return target  # type: ignore[no-any-return]  # only the maker of a payload knows what it holds

    __call__ = resolve

    def __copy__(self) -> StoreFactory[ConnectorT_co, T]:
        # Without a pickle, which would lose the limits.
        made = restore_factory(*self._travel())
        made._limits = self._limits  # noqa: SLF001  of the same class
        return made

    def __deepcopy__(self, _memo: dict[int, Any]) -> StoreFactory[ConnectorT_co, T]:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_factory, self._travel()

    def __reduce_proxy__(self) -> tuple[Any, ...]:
        # One global, a string and bytes: a proxy travels in at most 200 bytes.
        return restore_proxy, self._travel()

    def _travel(self) -> tuple[str, bytes]:
        if self._private is not None:
            remedy = "register it with psk.register_codec, and pass the codec's name as serializer="
            if isinstance(self._private, str):
                remedy = f"put the object with serializer={self._private!r}, or let its receivers get it by its key"
            raise CodecNotPortableError(
                f"the proxy of object {self.reference.key} depends on {self._private!r}, which does not travel with it",
                remedy=remedy,
            )
        return self.reference.uri, self.reference.to_bytes()


def restore_factory(uri: str, body: bytes) -> StoreFactory[Any]:
    """Rebuild a factory from a reference that arrived; nothing is opened yet.

    Raises:
        InvalidReferenceError: The reference is malformed.
    """
    return StoreFactory(Reference.from_bytes(_shared(uri), body))


def restore_proxy(uri: str, body: bytes) -> Proxy[Any]:
    """Rebuild a proxy from a reference that arrived; nothing is opened yet.

    Raises:
        InvalidReferenceError: The reference is malformed.
    """
    reference = Reference.from_bytes(_shared(uri), body)
    proxy: Proxy[Any] = make_proxy(
        StoreFactory(reference), type_of(reference.type_code), reference.hash, protocols=reference.protocols
    )
    return proxy


class ProxyMaker:
    """Make proxies of the objects of one store.

    Args:
        config: The store's options; `populate_target` and the (de)serializer matter here.
        signing_key: What signs references, or None.
    """

    def __init__(self, config: StoreConfig, signing_key: SigningKey | None) -> None:
        self._config = config
        self._signing_key = signing_key
        self._provider = provider_of(config.connector)

    def of_object(  # noqa: PLR0917  what `Store.proxy` was called with, in its order
        self,
        store: Any,
        obj: Any,
        key: str,
        payload: Payload,
        evict: bool,
        serializer: Any,
        deserializer: Any,
        populate_target: bool | None,
    ) -> Proxy[Any]:
        """Make the proxy of an object that the store has just put; arguments as of `Store.proxy`."""
        if deserializer == payload.codec:
            deserializer = None  # every process decodes the payload with it anyway
        certain = self._returns_its_type(obj, payload.codec, serializer, deserializer)
        known = certain and not isinstance(obj, Proxy)
        type_code = code_of(type(obj)) if certain else 0
        reference = Reference(
            self._config.connector,
            key,
            evict=evict,
            nbytes=payload.nbytes,
            checksum=payload.checksum,
            type_code=type_code,
            hash=portable_hash(obj) if certain else None,
            # The number of a builtin type implies them.
            protocols=protocols_of(obj) if known and not is_builtin_code(type_code) else None,
            provider=self._provider,
        )
        factory = self._factory(store, reference, serializer, deserializer)
        if populate_target is None:
            populate_target = self._config.options["populate_target"] and certain and not evict
        if populate_target:
            proxy: Proxy[Any] = make_proxy(factory, target=obj)
        else:
            proxy = make_proxy(factory, type(obj) if known else None, _known_hash(obj) if known else None)
        return proxy

    def of_key(self, store: Any, key: str, deserializer: Any, **flags: Any) -> Proxy[Any]:
        """Make the proxy of an object of which only the key is known; arguments as of `Store.proxy_from_key`."""
        reference = Reference(self._config.connector, key, provider=self._provider, **flags)
        proxy: Proxy[Any] = make_proxy(self._factory(store, reference, None, deserializer))
        return proxy

    def _returns_its_type(self, obj: object, codec: str, serializer: Any, deserializer: Any) -> bool:
        """Tell whether decoding is known to return an object of the type that was encoded."""
        options = self._config.options
        if (deserializer or options["deserializer"]) not in (None, codec):
            return False
        if (serializer or options["serializer"]) is None:
            return True
        # A codec that the user named may decode to any type.
        return codec in FAITHFUL_CODECS or codec == codec_for(obj).name

    def _factory(self, store: Any, reference: Reference, serializer: Any, deserializer: Any) -> StoreFactory[Any]:
        options = self._config.options
        if self._signing_key is not None:
            reference = reference.sign(self._signing_key)
        callables = serializer or options["serializer"], options["deserializer"]
        # A reference has no place for what decodes it, not even for the name of a codec.
        private = deserializer or next(filter(callable, callables), None)
        return StoreFactory(reference, store, deserializer, private=private)


def check_proxy_options(evict: bool, lifetime: object, deserializer: object) -> None:
    """Check arguments that the methods of a store which make proxies share.

    Raises:
        StoreConfigError: They are not valid, or exclude each other.
    """
    check_coder("deserializer", deserializer)
    if evict and lifetime is not None:
        raise StoreConfigError("evict and lifetime exclude each other", remedy="let the lifetime evict the object")


def is_proxiable(obj: object, skip: bool) -> bool:
    """Tell whether an object can be proxied.

    Raises:
        NonProxiableTypeError: It cannot, and `skip` is not set.
    """
    if obj is not None and obj is not True and obj is not False:
        return True
    if skip:
        return False
    raise NonProxiableTypeError(
        f"{obj!r} cannot be proxied: code tests it with `is`, which would see the proxy",
        remedy="pass it by value, or use skip_nonproxiable=True",
    )


def store_factory(proxy: Proxy[Any]) -> StoreFactory[Any]:
    """Return the store's factory behind a proxy.

    A factory that adds rules of its own to a store's, such as that of an owner or a future, has the store's as its
    attribute `factory`.

    Raises:
        ProxyStoreFactoryError: The proxy was made with another factory.
    """
    found: Any = get_factory(proxy)
    factory = found if isinstance(found, StoreFactory) else getattr(found, "factory", None)
    if not isinstance(factory, StoreFactory):
        raise ProxyStoreFactoryError(
            f"the proxy's factory is a {type(found).__qualname__}, not one of a store",
            remedy="make the proxy with Store.proxy",
        )
    return factory


def get_key(proxy: Proxy[Any]) -> str:
    """Return the key of the object behind a proxy, without resolving it.

    Raises:
        ProxyStoreFactoryError: The proxy was not made by a store.
    """
    return store_factory(proxy).reference.key


def _known_hash(obj: object) -> int | None:
    """Return the hash of an object if that is cheap and certain; a proxy without one resolves to find it."""
    if isinstance(obj, SIZED_HASHABLES) and len(obj) > LONGEST_HASHED:
        return None
    return hash(obj) if is_hashed_by_value(obj) else None


def _needs_connector(reference: Reference, error: UnknownConnectorError) -> UnknownConnectorError:
    scheme = reference.uri.partition(":")[0]
    remedy = error.remedy
    if reference.provider:
        remedy = f"its producer says that the distribution {reference.provider} has one; install it if you trust it"
    return UnknownConnectorError(
        f"this proxy needs a connector for {scheme!r:.80}, and none is installed here", found=error.found, remedy=remedy
    )


def _shared(uri: Any) -> Any:
    if type(uri) is not str:  # from a forged pickle: the reference refuses it
        return uri
    if len(_uris) >= MOST_URIS:
        _uris.clear()
    return _uris.setdefault(uri, uri)


# As they are named in pickles; short names make short pickles.
StoreFactory.__module__ = restore_factory.__module__ = restore_proxy.__module__ = "psk.store"
