"""What does a plug-in say about what it brings? Texts alone; what is dear to import is named as `module:attribute`."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from psk.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Description:
    """One thing that a plug-in brings, in plain texts.

    Args:
        target: Where it is, as `module:attribute`; imported when it is first used.
        summary: One line for people.

    Raises:
        PluginError: A text is missing, or not of the form it must have.
    """

    __slots__ = ("summary", "target")

    kind: ClassVar[str]

    def __init__(self, target: str, summary: str = "") -> None:
        self.target = self._text("target", target)
        self.summary = self._text("summary", summary)
        module, colon, attribute = self.target.partition(":")
        if not (colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))):
            raise PluginError(
                f"the target of a {type(self).__name__} cannot be {target!r:.80}",
                remedy='write "module:attribute", as in "psk_connector_redis.connector:RedisConnector"',
            )

    def serves(self, name: str) -> bool:
        """Tell whether this is what an entry point, a URI or a payload means by a name."""
        return name in self._names()

    def _names(self) -> tuple[str, ...]:
        raise NotImplementedError

    def _text(self, what: str, value: object, *, needed: bool = False) -> str:
        if isinstance(value, str) and (value or not needed):
            return value
        raise PluginError(f"the {what} of a {type(self).__name__} cannot be {value!r:.80}", remedy="give it as a text")

    def _texts(self, what: str, values: Iterable[str]) -> tuple[str, ...]:
        # A text is a sequence of texts too, and was then meant as the only one.
        listed: tuple[object, ...] = (values,) if isinstance(values, str) else tuple(values)
        return tuple(self._text(what, value, needed=True) for value in listed)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._names())}, target={self.target!r})"


class ConnectorPlugin(Description):
    """A connector, for hook `psk_connectors`.

    Args:
        schemes: Schemes of the URIs that open it. Each needs its entry point `connector.<scheme>`; one with a plus, as
            `redis+unix`, is served by the entry point of what stands before the plus.
        target: Its class, as `module:attribute`.
        summary: One line for people.
        uri: How the arguments of the class stand in a URI, each by its name, as a template of RFC 6570:
            `redis://{user}@{host}:{port}/{db}{?prefix,timeout}`. For people as well.
    """

    __slots__ = ("schemes", "uri")

    kind = "connector"

    def __init__(self, *, schemes: Iterable[str], target: str, summary: str = "", uri: str = "") -> None:
        self.schemes = self._texts("schemes", schemes)
        self.uri = self._text("uri", uri)
        if not self.schemes:
            raise PluginError("a ConnectorPlugin has no schemes", remedy='name those of its URIs: schemes=["redis"]')
        super().__init__(target, summary)

    def _names(self) -> tuple[str, ...]:
        return self.schemes


class CodecPlugin(Description):
    """A codec, for hook `psk_codecs`.

    Args:
        name: What payloads call it; its entry point is `codec.<name>`.
        target: A `psk.wire.Codec` of that name, as `module:attribute`.
        summary: One line for people.
        types: Exact types that it encodes unasked, as `module:type`, once the plug-in has been loaded.
        reducers: How objects of some libraries are reduced inside pickles, once the plug-in has been loaded: by
            top-level module, `module:attribute` of a mapping from exact types to functions like `__reduce_ex__`,
            imported when its library has been.
    """

    __slots__ = ("name", "reducers", "types")

    kind = "codec"

    def __init__(
        self,
        name: str,
        *,
        target: str,
        summary: str = "",
        types: Iterable[str] = (),
        reducers: Mapping[str, str] | None = None,
    ) -> None:
        self.name = self._text("name", name, needed=True)
        self.types = self._texts("types", types)
        named = {} if reducers is None else reducers
        self.reducers = dict(zip(self._texts("reducers", named), self._texts("reducers", named.values()), strict=True))
        super().__init__(target, summary)

    def _names(self) -> tuple[str, ...]:
        return (self.name,)


class CommandPlugin(Description):
    """A command of the program `psk`, for hook `psk_commands`.

    Args:
        name: What is typed after `psk`; its entry point is `command.<name>`. A command of the group `plugins` has a dot
            in its name: `plugins.check` is typed as `psk plugins check`.
        target: Something with `add_arguments(parser)` and `run(arguments) -> int`, as `module:attribute`.
        summary: One line for `psk --help`.
        example: A command line that `psk <name> --help` ends with.
    """

    __slots__ = ("example", "name")

    kind = "command"

    def __init__(self, name: str, *, target: str, summary: str = "", example: str = "") -> None:
        self.name = self._text("name", name, needed=True)
        self.example = self._text("example", example)
        super().__init__(target, summary)

    def _names(self) -> tuple[str, ...]:
        return (self.name,)
