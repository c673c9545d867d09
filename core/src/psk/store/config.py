"""Hold the options of a store, and check the arguments of its calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from psk.connectors import shown, validate_key
from psk.errors import CodecNotPortableError, InvalidArgumentError, InvalidKeyError, StoreConfigError
from psk.plugins.importing import on_demand
from psk.proxy import extract, is_proxy, is_resolved, known_class
from psk.store.trust import chosen, read_patterns
from psk.wire import shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterable
    from os import PathLike

    from psk.connectors import Connector

T = TypeVar("T")

#: The values of options that have few; the first is the default.
CHOICES: dict[str, tuple[object, ...]] = {
    "cache": ("payloads", "objects"),
    "metrics": (False, True),
    "populate_target": (True, False),
    "register": (False, True),
    "verify": (None, True, False),
    "signing": (None, "optional", "required"),
    "codecs": ("any", "raw"),
}
#: Every option with its default, in the order in which `repr` and a file show them.
DEFAULTS: dict[str, Any] = {
    "serializer": None,
    "deserializer": None,
    "cache_size": 16,
    "cache_bytes": 256 * 1024 * 1024,
    **{option: choices[0] for option, choices in CHOICES.items()},
    "signing_key": None,
    "trusted": None,
}


class StoreConfig:
    """Hold everything that rebuilds a store elsewhere: plain values, no secrets, no open resources.

    Args:
        name: The store's name in this process.
        connector: The connector's URI, as in `file:///scratch/psk?durability=disk`, or a connector.
        **options: Keyword arguments of `Store`, by name; see there for their meaning.

    Raises:
        StoreConfigError: An option is unknown, or name, connector or a value is not valid.
    """

    __slots__ = ("connector", "name", "options", "signature_required")

    def __init__(self, name: str, connector: str | Connector, **options: Any) -> None:
        unknown = sorted(options.keys() - DEFAULTS.keys())
        if unknown:
            raise StoreConfigError(f"a store has no option {unknown[0]!r}", found=DEFAULTS, remedy="check its name")
        if not isinstance(name, str):
            raise StoreConfigError(
                f"a store's name cannot be an object of type {type(name).__qualname__!r}",
                remedy="give a string first, and the connector or its URI second",
            )
        if not isinstance(connector, str) and not callable(getattr(connector, "uri", None)):
            raise StoreConfigError(
                f"store {name!r} cannot have an object of type {type(connector).__qualname__!r} as its connector",
                remedy="give a connector or its URI; for a path, psk.FileConnector(path)",
            )
        for option in ("serializer", "deserializer"):
            check_coder(f"store option {option}", options.get(option))
        for option, choices in CHOICES.items():
            chosen(f"store option {option}", options.get(option, DEFAULTS[option]), choices)
        for option in ("cache_size", "cache_bytes"):
            value = options.get(option, 0)
            if type(value) is not int or value < 0:
                raise StoreConfigError(
                    f"store option {option}={value!r} is not possible",
                    remedy="give a whole number, 0 to switch the cache off",
                )
        self.name = name
        self.connector = connector if isinstance(connector, str) else connector.uri()
        self.options = {option: options.get(option, default) for option, default in DEFAULTS.items()}
        self.options["trusted"] = read_patterns("store option", self.options["trusted"])
        #: Whether the store believes only what is signed: if it says so, or has a key.
        self.signature_required: bool = self.signing == "required" or self.signing_key is not None

    def __getattr__(self, option: str) -> Any:
        try:
            return self.options[option]
        except KeyError:
            raise AttributeError(option) from None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreConfig) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.name, self.connector))

    def __repr__(self) -> str:
        shown = {"name": self.name, "connector": shown_uri(self.connector), **self._changed()}
        if self.trusted:
            shown["trusted"] = tuple(map(shown_uri, self.trusted))
        return f"StoreConfig({', '.join(f'{option}={value!r}' for option, value in shown.items())})"

    def __reduce__(self) -> tuple[object, ...]:
        return StoreConfig.from_dict, (self.as_dict(),)

    def _identity(self) -> tuple[object, ...]:
        # Whether a store is registered in one process does not matter to which store it is.
        return self.name, self.connector, {**self.options, "register": False}

    def _changed(self) -> dict[str, Any]:
        return {option: value for option, value in self.options.items() if value != DEFAULTS[option]}

    def as_dict(self) -> dict[str, Any]:
        """Return the configuration as plain values, without the options that have their default.

        Raises:
            CodecNotPortableError: The (de)serializer is a callable, which exists only in this process.
        """
        for option in ("serializer", "deserializer"):
            if callable(self.options[option]):
                raise CodecNotPortableError(
                    f"store {self.name!r} has a {option} that exists only in this process: {self.options[option]!r}",
                    remedy="register it with psk.register_codec and pass the codec's name",
                )
        values = {"name": self.name, "connector": self.connector, **self._changed()}
        return {option: list(value) if type(value) is tuple else value for option, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreConfig:
        """Build a configuration from what `as_dict` returned.

        Raises:
            StoreConfigError: A value is missing, unknown or not valid.
        """
        check_kind("a store's configuration", values, Mapping, "give what `as_dict` returned")
        for needed in ("name", "connector"):
            if not isinstance(values.get(needed), str):
                raise StoreConfigError(
                    f"a store's configuration needs a string {needed!r}", found=values, remedy=f'add {needed} = "..."'
                )
        return cls(**values)

    @classmethod
    def from_toml(cls, path: str | PathLike[str]) -> StoreConfig:
        """Read a configuration from a TOML file with the keys of `as_dict` at its top level.

        Raises:
            StoreConfigError: The file is not TOML or holds no valid configuration.
            OSError: The file cannot be read.
        """
        with on_demand:
            import tomllib  # costs 3 ms, and only users of files need it

        with open(path, "rb") as file:  # noqa: PTH123  pathlib would cost 10 ms at import
            try:
                values = tomllib.load(file)
            except tomllib.TOMLDecodeError as error:
                raise StoreConfigError(f"{path} is not valid TOML: {error}", remedy="correct the file") from error
        return cls.from_dict(values)

    def write_toml(self, path: str | PathLike[str]) -> None:
        """Write the configuration to a TOML file that `from_toml` reads.

        Raises:
            CodecNotPortableError: The (de)serializer is a callable.
            OSError: The file cannot be written.
        """
        with on_demand:
            import json  # its strings, numbers, booleans and lists, all that a configuration holds, are TOML as well

        # Not ASCII only: JSON escapes some characters as two surrogates, which TOML does not know. TOML escapes DEL.
        lines = [f"{option} = {json.dumps(value, ensure_ascii=False)}\n" for option, value in self.as_dict().items()]
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  as above
            file.writelines(line.replace("\x7f", "\\u007f") for line in lines)


StoreConfig.__module__ = "psk.store"  # as it is named in pickles


def check_coder(option: str, value: object) -> None:
    """Make sure that a serializer or deserializer is None, the name of a codec, or a callable.

    Raises:
        StoreConfigError: It is something else.
    """
    if value is not None and not isinstance(value, str) and not callable(value):
        raise StoreConfigError(
            f"{option}={shown(value)} is not possible", remedy="give the name of a registered codec, or a callable"
        )


def check_kind(what: str, value: object, kind: type, remedy: str) -> None:
    """Make sure that an argument is an instance of a class.

    Raises:
        StoreConfigError: It is something else.
    """
    if not isinstance(value, kind):
        raise StoreConfigError(f"{shown(value)} is not {what}", remedy=remedy)


def several(name: str, values: Iterable[T]) -> list[T]:
    """Return the values of an argument that holds several.

    Raises:
        InvalidArgumentError: It cannot be iterated over.
    """
    try:
        iterator = iter(values)
    except TypeError as error:
        raise InvalidArgumentError(f"{name}={shown(values)} is not possible", remedy="give a list") from error
    return list(iterator)


def check_key(key: Any) -> str:
    """Return a key that was passed to a store: what `put` returned, or a proxy of it.

    A proxy is never resolved to find out whether its target is a string.

    Raises:
        InvalidKeyError: It is not a key.
    """
    if type(key) is str or not is_proxy(key):
        return validate_key(key)
    if is_resolved(key) or known_class(key) is str:
        target = extract(key)
        if isinstance(target, str):
            return validate_key(target)
    raise InvalidKeyError(
        "a proxy is not a key", remedy="pass psk.get_key(proxy), or use the proxy itself as if it were the object"
    )


def ttl_of(lifetime: Any, ttl: float | None) -> float | None:
    """Return the time to live of a new object: the caller's, or else that of its lifetime.

    Raises:
        StoreConfigError: The lifetime is not one.
    """
    if lifetime is None:
        return ttl
    if not callable(getattr(lifetime, "add_key", None)):
        raise StoreConfigError(
            f"lifetime={shown(lifetime)} is not possible", remedy="give a lifetime of psk_patterns, or None"
        )
    return getattr(lifetime, "ttl", None) if ttl is None else ttl
