"""What stands behind a store's proxy: a reference, and the way from it to the object."""

from __future__ import annotations

from types import GenericAlias
from typing import TYPE_CHECKING, Any, Generic

from psk.errors import (
    CodecNotPortableError,
    ProxyResolveError,
    ProxyResolveMissingKeyError,
    UnknownConnectorError,
)
from psk.proxy import Proxy, make_proxy
from psk.store.limits import limits_in_force
from psk.store.policy import get_policy
from psk.wire import Reference, type_of

if TYPE_CHECKING:
    from typing_extensions import TypeVar  # in typing its `default` is there from Python 3.13 on

    from psk.connectors import Connector
    from psk.store.limits import Limits
    from psk.store.store import Store

    ConnectorT_co = TypeVar("ConnectorT_co", bound=Connector, covariant=True, default=Connector)
    T = TypeVar("T", default=Any)
else:
    from typing import TypeVar

    ConnectorT_co = TypeVar("ConnectorT_co", covariant=True)
    T = TypeVar("T")
#: Equal URIs as one object, so that proxies which arrived one by one share theirs when they travel on together.
_uris: dict[str, str] = {}
MOST_URIS = 1024


class StoreFactory(Generic[ConnectorT_co, T]):
    """Fetch the object that a reference names, from whatever process it is called in.

    In annotations it takes the classes of connector and object, as in `StoreFactory[FileConnector, Model]`.

    Args:
        reference: Channel, key and what is known of the object.
        store: The store that made the object; None finds or opens one for the reference's channel.
        deserializer: What the proxy's maker wants decoded with, if not with the codec that the payload names.
        private: What encoded or decodes the object and cannot be said in a reference: a callable that only this
            process has, or a codec other than the payload's; None lets it travel.
    """

    __slots__ = ("_foreign", "_limits", "_private", "_store", "deserializer", "reference")

    if not TYPE_CHECKING:
        __class_getitem__ = classmethod(GenericAlias)  # with any number of arguments, as Proxy

    def __init__(
        self, reference: Reference, store: Store | None = None, deserializer: Any = None, *, private: Any = None
    ) -> None:
        self.reference = reference
        self.deserializer = deserializer
        self._private = private
        self._store = store
        self._foreign = store is None
        # What the stores in whose objects the reference was found let it open.
        self._limits: Limits = limits_in_force() if store is None else ()

    def __call__(self) -> T:
        """Resolve, as every factory does when it is called."""
        return self.resolve()

    def __repr__(self) -> str:
        return f"StoreFactory({self.reference.shown_uri!r}, {self.reference.key!r})"

    def store(self) -> Store:
        """Find the store that resolves this reference; a closed one is replaced by one for the same channel.

        Raises:
            SigningError: The reference is unsigned or forged where that matters.
            UntrustedChannelError: This process does not open that channel for proxies, or a store in whose objects
                the proxy was found does not.
            UnknownConnectorError: No connector is installed for its scheme.
        """
        for limit in self._limits:
            limit.check(self.reference)
        if self._store is None or self._store.closed:
            from psk.store.registry import store_for  # the registry knows factories: here only, to break the circle

            try:
                self._store = store_for(self.reference)
            except UnknownConnectorError as error:
                raise _needs_connector(self.reference, error) from error
        elif self._foreign:  # the rules may have changed since the store was found
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
            # What arrived from outside is held to the process's rules as well as to the store's.
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
        return target  # type: ignore[no-any-return]  # what a payload holds is known only to its maker

    def __copy__(self) -> StoreFactory[ConnectorT_co, T]:
        # Not by way of a pickle, in which the limits would be lost.
        made = restore_factory(*self._travel())
        made._limits = self._limits  # noqa: SLF001  of the same class
        return made

    def __deepcopy__(self, _memo: dict[int, Any]) -> StoreFactory[ConnectorT_co, T]:
        return self.__copy__()

    def __reduce__(self) -> tuple[Any, ...]:
        return restore_factory, self._travel()

    def __reduce_proxy__(self) -> tuple[Any, ...]:
        # One global and two texts: a proxy travels in at most 200 bytes.
        return restore_proxy, self._travel()

    def _travel(self) -> tuple[str, bytes]:
        if isinstance(self._private, str):
            raise CodecNotPortableError(
                f"the proxy of object {self.reference.key} is to be decoded with codec {self._private!r}, and whoever "
                "receives it goes by the codec that the payload names",
                remedy=f"put the object with serializer={self._private!r}, or let its receivers get it by its key",
            )
        if self._private is not None:
            raise CodecNotPortableError(
                f"the proxy of object {self.reference.key} depends on {self._private!r}, which only this process has",
                remedy="register it with psk.register_codec, and pass the codec's name as serializer=",
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


def _needs_connector(reference: Reference, error: UnknownConnectorError) -> UnknownConnectorError:
    scheme = reference.uri.partition(":")[0]
    remedy = error.remedy
    if reference.provider:
        remedy = f"its producer says that the distribution {reference.provider} has one; install it if you trust it"
    return UnknownConnectorError(
        f"this proxy needs a connector for {scheme!r:.80}, and none is installed here", found=error.found, remedy=remedy
    )


def _shared(uri: Any) -> Any:
    if type(uri) is not str:  # a forged pickle may hold anything: the reference refuses it
        return uri
    if len(_uris) >= MOST_URIS:
        _uris.clear()
    return _uris.setdefault(uri, uri)


# Short module paths make short pickles.
restore_factory.__module__ = restore_proxy.__module__ = "psk.store"
