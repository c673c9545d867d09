"""What is a store? The front door: objects in, proxies out, over one connector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, cast

from psk.connectors import format_uri, join_connector, open_connector
from psk.plugins.importing import on_demand
from psk.store.arguments import check_kind
from psk.store.asynchronous import AsyncMethods
from psk.store.config import DEFAULTS, StoreConfig
from psk.store.factory import ConnectorT_co
from psk.store.registry import find_registered, register_store, unregister_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self


class Store(AsyncMethods, Generic[ConnectorT_co]):
    """Put objects into a channel and pass on proxies of them.

    A store is safe to use from many threads, survives a fork, and can be pickled. Closing it deletes nothing. In
    annotations it takes the class of its connector, as in `Store[FileConnector]`.

    Args:
        name: Names the store in this process. Proxies find their objects by the connector's URI, never by this name.
        connector: A connector, or its URI as in `file:///scratch/psk?durability=disk`.
        serializer: Registered codec name, or a callable from object to bytes; None chooses by the object's type.
        deserializer: Codec name, or a callable from bytes to object; None decodes what the payload names. It holds for
            this store, not for whoever resolves its proxies elsewhere.
        cache_size: Objects kept at hand at most; 0 keeps none.
        cache_bytes: Bytes of all kept objects at most. Kept are immutable built-ins themselves, and otherwise payloads,
            over which each `get` decodes memory of its own; payloads of 64 KiB and more from their second fetch on.
        cache: `"payloads"`, or `"objects"` to keep every decoded object itself: all users of a key then share one.
        metrics: Count and time what the store does; see `metrics`.
        populate_target: Let new proxies use the object they were made from, in this process.
        register: Make the store known to `get_store` and to proxies of its channel.
        verify: None adds and checks a checksum where bytes leave this host's memory; True demands one; False does
            neither.
        signing: `"required"` refuses what is unsigned; the default once a key is given. `"optional"` otherwise.
        signing_key: Name of the key that signs payloads and references; never the key itself.
        codecs: `"raw"` decodes only bytes, bytearray, memoryview and str, and no pickle; `"any"` decodes all.
        trusted: URI patterns (as of `psk.set_policy`) of the channels, beside the store's own, that proxies found in
            its objects may open in this process, and so on with what they find there; None leaves it to the process.

    Raises:
        StoreConfigError: An option is not possible.
        StoreExistsError: `register` is set and the name is taken.
        UnknownConnectorError: No connector is installed for the URI's scheme.
        ConnectorError: The channel cannot be opened.
        SigningKeyMissingError: The signing key is not in this process's key sources.
    """

    def __init__(
        self,
        name: str,
        connector: ConnectorT_co | str,
        *,
        serializer: str | Callable[[Any], Any] | None = None,
        deserializer: str | Callable[[bytes], Any] | None = None,
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
        config = StoreConfig(
            name,
            connector,
            serializer=serializer,
            deserializer=deserializer,
            cache=cache,
            cache_size=cache_size,
            cache_bytes=cache_bytes,
            metrics=metrics,
            populate_target=populate_target,
            register=register,
            verify=verify,
            signing=signing,
            signing_key=signing_key,
            codecs=codecs,
            trusted=trusted,
        )
        opened = open_connector(connector) if isinstance(connector, str) else connector
        # A URI such as `local://` names no place until it is opened: proxies must carry the one that does.
        self._asked_for, config.connector = config.connector, format_uri(opened.config())
        try:
            super().__init__(opened, config)
            if register:
                register_store(self)
        except BaseException:
            if opened is not connector:
                opened.close()
            raise

    @classmethod
    def from_uri(cls, uri: str, *, name: str | None = None, **options: Any) -> Self:
        """Open a store from a connector's URI, named after it if not otherwise; options and errors as of `Store`."""
        return cls(_name_after(uri) if name is None else name, uri, **options)

    @classmethod
    def join(cls, uri: str, *, name: str | None = None, **options: Any) -> Self:
        """Open a store as `from_uri` does, but make no directory or session for it, as a reader should.

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
            config: What `config()` gave.
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
        """Give what rebuilds this store in another process; it can be pickled and written to TOML."""
        return self._config

    def is_configured_as(self, config: StoreConfig) -> bool:
        """Tell whether opening `config` would give a store like this one, over the same channel."""
        check_kind("a StoreConfig", config, StoreConfig, "give what `config()` returned")
        own = self._config
        if config.connector == self._asked_for:
            own = StoreConfig(own.name, self._asked_for, **own.options)
        return config == own

    @property
    def connector(self) -> ConnectorT_co:
        """The connector that moves this store's bytes."""
        return cast("ConnectorT_co", self._connector)

    @property
    def name(self) -> str:
        """The store's name in this process."""
        return self._config.name

    def close(self) -> None:
        """Release what the store opened, and delete nothing; closing twice is no error.

        A proxy of a closed store still resolves: it opens its channel anew.
        """
        if self._closed:
            return
        self._closed = True
        unregister_store(self)
        self._reader.cache.clear()
        self._connector.close()

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


def _name_after(uri: str) -> str:
    if isinstance(uri, str) and any(mark in uri for mark in "@?"):  # every message shows the name
        with on_demand:
            from psk.masking import masked_uri

        return masked_uri(uri)
    return uri


def restore_store(config: StoreConfig) -> Store:
    """Rebuild a store that travelled: the registered one of the same configuration, or a new one.

    Raises:
        PskError: As `Store`.
    """
    known = find_registered(config)
    return Store.from_config(config, register=False) if known is None else known
