"""How does a store make proxies?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Never, TypeVar

from psk.connectors import check_timeout
from psk.connectors.catalog import provider_of
from psk.errors import NonProxiableTypeError, PatternMissingError, StoreConfigError
from psk.proxy import Proxy, ProxyLocker, is_hashed_by_value, make_proxy, protocols_of
from psk.store.arguments import check_coder, check_lifetime, several
from psk.store.batches import BatchMethods
from psk.store.factory import StoreFactory
from psk.store.keys import check_key
from psk.store.objects import ttl_of
from psk.wire import Reference, code_of, codec_for, is_builtin_code, portable_hash

if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Iterable, Mapping

    from psk.store.lifetime import Lifetime
    from psk.wire import Payload

T = TypeVar("T")
#: Hashing longer ones would cost more than it can save.
LONGEST_HASHED = 4096
SIZED_HASHABLES = (bytes, str, tuple, frozenset)
#: Codecs that give back an object of the type that they encoded, whatever it is.
FAITHFUL_CODECS = ("pickle", "cloudpickle")


class ProxyMethods(BatchMethods):
    """The part of a store that knows proxies; see `Store`."""

    def proxy(
        self,
        obj: T,
        *,
        evict: bool = False,
        lifetime: Lifetime | None = None,
        serializer: str | Callable[[Any], Any] | None = None,
        deserializer: str | Callable[[bytes], Any] | None = None,
        populate_target: bool | None = None,
        skip_nonproxiable: bool = False,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> Proxy[T]:
        """Store an object and give a proxy of it, which any process can use as if it were the object.

        Args:
            obj: The object; None and booleans cannot be proxied, since code compares them by identity.
            evict: Delete the object from the channel once a proxy of it has been resolved. Such a proxy is not
                populated unless asked, so that its first use, wherever that is, evicts. Of several that are resolved at
                the same moment more than one may succeed; a connector's `take` lets exactly one win.
            lifetime: Evicts the object at its end; excludes `evict`.
            serializer: As of `put`.
            deserializer: Decode with this callable, or codec, in this process. Such a proxy cannot travel, unless the
                payload names that codec anyway; and since nobody knows what the callable will make of the bytes, the
                proxy resolves when it is asked for its class or hash.
            populate_target: Let the proxy use `obj` itself in this process, so that it need not be fetched here;
                None takes the store's choice, where decoding is known to give an object of the same type. A populated
                proxy shows later changes of `obj`; others never do.
            skip_nonproxiable: Give back what cannot be proxied as it is, instead of raising.
            ttl: As of `put`.
            timeout: As of `put`.
            hints: As of `put`.

        Raises:
            NonProxiableTypeError: `obj` is None or a boolean.
            StoreConfigError: Both `evict` and `lifetime` are given.
            PskError: As `put`.
        """
        _check_options(evict, lifetime, deserializer)
        if not _is_proxiable(obj, skip_nonproxiable):
            return obj  # type: ignore[return-value]  # the caller asked for objects that cannot be proxied as they are
        self._check_open()
        ttl = ttl_of(lifetime, ttl)
        payload = self._encoder.encode(obj, serializer, expires=ttl is not None)
        key = self._place(payload, lifetime, ttl=ttl, timeout=timeout, hints=hints)
        return self._proxy_of(
            obj,
            key,
            payload,
            evict=evict,
            serializer=serializer,
            deserializer=deserializer,
            populate_target=populate_target,
        )

    def proxy_batch(
        self,
        objs: Iterable[T],
        *,
        evict: bool = False,
        lifetime: Lifetime | None = None,
        serializer: str | Callable[[Any], Any] | None = None,
        deserializer: str | Callable[[bytes], Any] | None = None,
        populate_target: bool | None = None,
        skip_nonproxiable: bool = False,
        ttl: float | None = None,
        timeout: float | None = None,
        hints: Mapping[str, object] | None = None,
    ) -> builtins.list[Proxy[T]]:
        """Store several objects and give their proxies, in order; arguments and errors as of `proxy`."""
        _check_options(evict, lifetime, deserializer)
        self._check_open()
        made: builtins.list[Any] = several("objs", objs)
        places = [place for place, obj in enumerate(made) if _is_proxiable(obj, skip_nonproxiable)]
        ttl = ttl_of(lifetime, ttl)
        payloads = [self._encoder.encode(made[place], serializer, expires=ttl is not None) for place in places]
        keys = self._place_batch(payloads, lifetime, ttl=ttl, timeout=timeout, hints=hints)
        for place, key, payload in zip(places, keys, payloads, strict=True):
            made[place] = self._proxy_of(
                made[place],
                key,
                payload,
                evict=evict,
                serializer=serializer,
                deserializer=deserializer,
                populate_target=populate_target,
            )
        return made

    def proxy_from_key(
        self,
        key: str,
        *,
        evict: bool = False,
        wait: bool = False,
        timeout: float | None = None,
        lifetime: Lifetime | None = None,
        deserializer: str | Callable[[bytes], Any] | None = None,
    ) -> Proxy[Any]:
        """Give a proxy of an object that was put before, or reserved; whether it exists shows at its first use.

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
        _check_options(evict, lifetime, deserializer)
        self._check_open()
        key = check_key(key)
        check_timeout(timeout)
        if timeout is not None and not wait:
            raise StoreConfigError("timeout= says how long to wait, and wait= is not set", remedy="give wait=True")
        reference = Reference(self.uri, key, evict=evict, wait=wait, timeout=timeout, provider=provider_of(self.uri))
        self._attach(lifetime, key)
        proxy: Proxy[Any] = make_proxy(self._factory(reference, None, deserializer))
        return proxy

    def locked_proxy(self, obj: T, *, skip_nonproxiable: bool = True, **options: Any) -> ProxyLocker[T]:
        """Store an object and give its proxy in a lock that keeps it from being resolved by accident.

        Arguments and errors are those of `proxy`; `unlock()` gives the proxy.
        """
        proxy = self.proxy(obj, skip_nonproxiable=skip_nonproxiable, **options)
        return ProxyLocker(proxy) if isinstance(proxy, Proxy) else proxy

    def owned_proxy(self, *_args: Any, **_options: Any) -> Never:
        """Refuse: ownership is a pattern of its own.

        Raises:
            PatternMissingError: Always; it names the distribution to use.
        """
        raise PatternMissingError(
            "Store.owned_proxy is not part of psk-core",
            remedy="pip install psk-patterns and use psk_patterns.owned_proxy(store, obj)",
        )

    def future(self, *_args: Any, **_options: Any) -> Never:
        """Refuse: futures are a pattern of their own.

        Raises:
            PatternMissingError: Always; it names the distribution to use.
        """
        raise PatternMissingError(
            "Store.future is not part of psk-core",
            remedy="pip install psk-patterns and use psk_patterns.future(store)",
        )

    def _proxy_of(
        self,
        obj: T,
        key: str,
        payload: Payload,
        *,
        evict: bool,
        serializer: Any,
        deserializer: Any,
        populate_target: bool | None,
    ) -> Proxy[T]:
        if deserializer == payload.codec:
            deserializer = None  # it is what decodes the payload anyway, in every process
        certain = self._gives_its_type_back(obj, payload.codec, serializer, deserializer)
        known = certain and not isinstance(obj, Proxy)
        type_code = code_of(type(obj)) if certain else 0
        reference = Reference(
            self.uri,
            key,
            evict=evict,
            nbytes=payload.nbytes,
            checksum=payload.checksum,
            type_code=type_code,
            hash=portable_hash(obj) if certain else None,
            # What a builtin type can do its number says.
            protocols=protocols_of(obj) if known and not is_builtin_code(type_code) else None,
            provider=provider_of(self.uri),
        )
        factory = self._factory(reference, serializer, deserializer)
        if populate_target is None:
            populate_target = self._config.options["populate_target"] and certain and not evict
        if populate_target:
            return make_proxy(factory, target=obj)  # type: ignore[no-any-return]
        proxy: Proxy[T] = make_proxy(factory, type(obj) if known else None, _known_hash(obj) if known else None)
        return proxy

    def _gives_its_type_back(self, obj: object, codec: str, serializer: Any, deserializer: Any) -> bool:
        """Tell whether decoding is known to give an object of the type that was encoded."""
        options = self._config.options
        if (deserializer or options["deserializer"]) not in (None, codec):
            return False
        if (serializer or options["serializer"]) is None:
            return True
        # A codec that was asked for by name may make of an object what it likes.
        return codec in FAITHFUL_CODECS or codec == codec_for(obj).name

    def _factory(self, reference: Reference, serializer: Any, deserializer: Any) -> StoreFactory[Any]:
        key = self._encoder.signing_key
        options = self._config.options
        callables = serializer or options["serializer"], options["deserializer"]
        return StoreFactory(
            reference if key is None else reference.sign(key),
            self,  # type: ignore[arg-type]  # self is a Store
            deserializer,
            # A reference has no place for what decodes it, be it only a codec's name.
            private=deserializer or next(filter(callable, callables), None),
        )


def _check_options(evict: bool, lifetime: Lifetime | None, deserializer: object) -> None:
    check_lifetime(lifetime)
    check_coder("deserializer", deserializer)
    if evict and lifetime is not None:
        raise StoreConfigError("evict and lifetime exclude each other", remedy="let the lifetime evict the object")


def _is_proxiable(obj: object, skip: bool) -> bool:
    if obj is not None and obj is not True and obj is not False:
        return True
    if skip:
        return False
    raise NonProxiableTypeError(
        f"{obj!r} cannot be proxied: code tests it with `is`, which would see the proxy",
        remedy="pass it by value, or use skip_nonproxiable=True",
    )


def _known_hash(obj: object) -> int | None:
    """Give the hash of an object where that is cheap and certain; a proxy without one resolves to find it."""
    if isinstance(obj, SIZED_HASHABLES) and len(obj) > LONGEST_HASHED:
        return None
    return hash(obj) if is_hashed_by_value(obj) else None
