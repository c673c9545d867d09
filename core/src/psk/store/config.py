"""Which options does a store have, and how do they travel to another process or a file?"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from psk.connectors import format_uri
from psk.errors import CodecNotPortableError, StoreConfigError
from psk.plugins.importing import on_demand
from psk.store.arguments import check_coder
from psk.store.patterns import read_patterns

if TYPE_CHECKING:
    from collections.abc import Mapping
    from os import PathLike

    from psk.connectors import Connector

#: Every option with its default, in the order in which `repr` and a file show them.
DEFAULTS: dict[str, Any] = {
    "serializer": None,
    "deserializer": None,
    "cache": "payloads",
    "cache_size": 16,
    "cache_bytes": 256 * 1024 * 1024,
    "metrics": False,
    "populate_target": True,
    "register": False,
    "verify": None,
    "signing": None,
    "signing_key": None,
    "codecs": "any",
    "trusted": None,
}
CHOICES: dict[str, tuple[object, ...]] = {
    "cache": ("payloads", "objects"),
    "verify": (None, True, False),
    "signing": (None, "optional", "required"),
    "codecs": ("any", "raw"),
    "metrics": (True, False),
    "populate_target": (True, False),
    "register": (True, False),
}


class StoreConfig:
    """Hold everything that rebuilds a store elsewhere: plain values, no secret, no live object.

    Args:
        name: The store's name in this process.
        connector: The connector's URI, as in `file:///scratch/psk?durability=disk`, or a connector.
        **options: Keyword arguments of `Store`, by name; see there for their meaning.

    Raises:
        StoreConfigError: An option is unknown, or name, connector or a value is not possible.
    """

    __slots__ = ("connector", "name", "options")

    def __init__(self, name: str, connector: str | Connector, **options: Any) -> None:
        unknown = sorted(options.keys() - DEFAULTS.keys())
        if unknown:
            raise StoreConfigError(f"a store has no option {unknown[0]!r}", found=DEFAULTS, remedy="check its name")
        if not isinstance(name, str):
            raise StoreConfigError(
                f"a store's name cannot be an object of type {type(name).__qualname__!r}",
                remedy="give a text first, and the connector or its URI second",
            )
        if not isinstance(connector, str) and not callable(getattr(connector, "config", None)):
            raise StoreConfigError(
                f"store {name!r} cannot have an object of type {type(connector).__qualname__!r} as its connector",
                remedy="give a connector or its URI; for a path, psk.FileConnector(path)",
            )
        for option in ("serializer", "deserializer"):
            check_coder(f"store option {option}", options.get(option))
        for option, choices in CHOICES.items():
            # With its type: 0 equals False, but is not what `verify` is compared with.
            if option in options and (type(options[option]), options[option]) not in [(type(it), it) for it in choices]:
                raise StoreConfigError(
                    f"store option {option}={options[option]!r} is not possible",
                    found=map(repr, choices),
                    remedy="choose one",
                )
        for option in ("cache_size", "cache_bytes"):
            value = options.get(option, 0)
            if type(value) is not int or value < 0:
                raise StoreConfigError(
                    f"store option {option}={value!r} is not possible",
                    remedy="give a whole number, 0 to switch the cache off",
                )
        self.name = name
        self.connector = connector if isinstance(connector, str) else format_uri(connector.config())
        self.options = {option: options.get(option, default) for option, default in DEFAULTS.items()}
        self.options["trusted"] = read_patterns("store option", self.options["trusted"])

    def __getattr__(self, option: str) -> Any:
        try:
            return self.options[option]
        except KeyError:
            raise AttributeError(option) from None

    @property
    def signature_required(self) -> bool:
        """Whether the store believes only what is signed: if it says so, or has a key."""
        return self.options["signing"] == "required" or self.options["signing_key"] is not None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, StoreConfig) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash((self.name, self.connector))

    def __repr__(self) -> str:
        with on_demand:
            from psk.masking import masked_uri

        shown = {"name": self.name, "connector": masked_uri(self.connector), **self._changed()}
        if self.trusted:
            shown["trusted"] = tuple(map(masked_uri, self.trusted))
        return f"StoreConfig({', '.join(f'{option}={value!r}' for option, value in shown.items())})"

    def __reduce__(self) -> tuple[object, ...]:
        return StoreConfig.from_dict, (self.as_dict(),)

    def _identity(self) -> tuple[object, ...]:
        # Whether a store was registered where it was made says nothing about which store it is.
        return self.name, self.connector, {**self.options, "register": False}

    def _changed(self) -> dict[str, Any]:
        return {option: value for option, value in self.options.items() if value != DEFAULTS[option]}

    def as_dict(self) -> dict[str, Any]:
        """Give the configuration as plain values, options at their default left out.

        Raises:
            CodecNotPortableError: The (de)serializer is a callable, which only this process has.
        """
        for option in ("serializer", "deserializer"):
            if callable(self.options[option]):
                raise CodecNotPortableError(
                    f"store {self.name!r} has a {option} that only this process knows: {self.options[option]!r}",
                    remedy="register it with psk.register_codec and pass the codec's name",
                )
        values = {"name": self.name, "connector": self.connector, **self._changed()}
        return {option: list(value) if type(value) is tuple else value for option, value in values.items()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> StoreConfig:
        """Build a configuration from what `as_dict` gave.

        Raises:
            StoreConfigError: A value is missing, unknown or impossible.
        """
        try:
            options = dict(values)
        except (TypeError, ValueError) as error:
            raise StoreConfigError(
                f"{values!r:.80} is not a store's configuration", remedy="give what `as_dict` returned"
            ) from error
        for needed in ("name", "connector"):
            if not isinstance(options.get(needed), str):
                raise StoreConfigError(
                    f"a store's configuration needs a text {needed!r}",
                    found=options,
                    remedy=f'add {needed} = "..."',
                )
        return cls(**options)

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
            import json  # a JSON string, number, boolean or list is a TOML one, all that a configuration holds

        # Not ASCII alone: what JSON escapes as two surrogates TOML does not know. DEL is escaped in TOML only.
        lines = [f"{option} = {json.dumps(value, ensure_ascii=False)}\n" for option, value in self.as_dict().items()]
        with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123  as above
            file.writelines(line.replace("\x7f", "\\u007f") for line in lines)
