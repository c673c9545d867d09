"""Define what a plug-in is written with: the mark of a hook, descriptions of what it adds, and the hooks of version 1.

A plug-in implements a hook by a function of the same name, marked with `psk.hookimpl`. It may omit arguments that it
does not need. Later versions of psk add hooks and arguments, and remove none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, overload

from psk.errors import PluginError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., object])

VERSION = 1
IMPLEMENTATION = "psk_impl"


@overload
def hookimpl(function: F) -> F: ...


@overload
def hookimpl(*, specname: str | None = None, optionalhook: bool = False) -> Callable[[F], F]: ...


def hookimpl(
    function: F | None = None, *, specname: str | None = None, optionalhook: bool = False
) -> F | Callable[[F], F]:
    """Mark a function of a plug-in as the implementation of the hook whose name it has.

    `pluggy.HookimplMarker("psk")` does the same; this one needs nothing but psk.

    Args:
        function: The function, when used as `@hookimpl`.
        specname: Name of the hook, if the function is named otherwise.
        optionalhook: Ignore it in versions of psk that do not have the hook, instead of calling the plug-in broken.
    """

    def mark(marked: F) -> F:
        unused = dict.fromkeys(("hookwrapper", "tryfirst", "trylast", "wrapper"), False)
        setattr(marked, IMPLEMENTATION, {**unused, "optionalhook": optionalhook, "specname": specname})
        return marked

    return mark if function is None else mark(function)


class Description:
    """One thing that a plug-in adds. Strings only; expensive imports are given as `module:attribute`.

    Args:
        target: Where it is, as `module:attribute`; imported when it is first used.
        summary: One line for people.

    Raises:
        PluginError: A string is missing or malformed.
    """

    kind: ClassVar[str]

    def __init__(self, names: Iterable[str], target: str, summary: str) -> None:
        self.names = self._texts("names", names)
        self.target = self._text("target", target)
        self.summary = self._text("summary", summary)
        module, colon, attribute = self.target.partition(":")
        if not (colon and all(part.isidentifier() for part in (*module.split("."), *attribute.split(".")))):
            raise PluginError(
                f"the target of a {type(self).__name__} cannot be {target!r:.80}",
                remedy='write "module:attribute", as in "psk_connector_redis.connector:RedisConnector"',
            )

    def _text(self, what: str, value: object, *, needed: bool = False) -> str:
        if isinstance(value, str) and (value or not needed):
            return value
        raise PluginError(
            f"the {what} of a {type(self).__name__} cannot be {value!r:.80}", remedy="give it as a string"
        )

    def _texts(self, what: str, values: Iterable[str]) -> tuple[str, ...]:
        # A string is a sequence of strings too, and was meant as the only one.
        listed: tuple[object, ...] = (values,) if isinstance(values, str) else tuple(values)
        return tuple(self._text(what, value, needed=True) for value in listed)


class _WithSchemes(Description):
    def __init__(self, *, schemes: Iterable[str], target: str, summary: str = "", uri: str = "") -> None:
        super().__init__(schemes, target, summary)
        self.uri = self._text("uri", uri)
        if not self.schemes:
            name = type(self).__name__
            raise PluginError(f"a {name} has no schemes", remedy='name those of its URIs: schemes=["mine"]')

    @property
    def schemes(self) -> tuple[str, ...]:
        """The schemes of the URIs that it serves."""
        return self.names


class _WithName(Description):
    def __init__(self, name: str, *, target: str, summary: str = "") -> None:
        super().__init__([self._text("name", name, needed=True)], target, summary)

    @property
    def name(self) -> str:
        """The name, as in the entry point."""
        return self.names[0]


class ConnectorPlugin(_WithSchemes):
    """A connector, for hook `psk_connectors`.

    Args:
        schemes: Schemes of the URIs that open it. Each needs its entry point `connector.<scheme>`; a scheme with a
            plus, as `redis+unix`, is served by the entry point of the part before the plus.
        target: Its class, as `module:attribute`.
        summary: One line for people.
        uri: Where the arguments of the class are in a URI, each by its name, as a template of RFC 6570:
            `redis://{user}@{host}:{port}/{db}{?prefix,timeout}`. For people as well.
    """

    kind = "connector"


class BrokerPlugin(_WithSchemes):
    """A broker, which carries the events of streams, for hook `psk_brokers`; arguments as of `ConnectorPlugin`.

    The entry points are named `broker.<scheme>`, and the same rule holds for a scheme with a plus.
    """

    kind = "broker"


class TransportPlugin(_WithSchemes):
    """A transport, by which a server's messages travel, for hook `psk_transports`; arguments as of `ConnectorPlugin`.

    The entry points are named `transport.<scheme>`, and the same rule holds for a scheme with a plus.
    """

    kind = "transport"


class EnginePlugin(_WithName):
    """The integration of an engine that runs tasks, for hook `psk_engines`.

    Args:
        name: The engine's name, as `dask`; its entry point is `engine.<name>`.
        target: What integrates it, as `module:attribute`.
        summary: One line for people.
    """

    kind = "engine"


class CodecPlugin(_WithName):
    """A codec, for hook `psk_codecs`.

    Args:
        name: The name in payloads; its entry point is `codec.<name>`.
        target: A `psk.wire.Codec` of that name, as `module:attribute`.
        summary: One line for people.
        types: Exact types that it encodes without being asked for, as `module:type`, once the plug-in is loaded.
        reducers: How objects of some libraries are reduced inside pickles, once the plug-in is loaded: by top-level
            module, `module:attribute` of a mapping from exact types to functions like `__reduce_ex__`, imported when
            its library has been.
    """

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
        super().__init__(name, target=target, summary=summary)
        self.types = self._texts("types", types)
        named = {} if reducers is None else reducers
        self.reducers = dict(zip(self._texts("reducers", named), self._texts("reducers", named.values()), strict=True))


class CommandPlugin(_WithName):
    """A command of the program `psk`, for hook `psk_commands`.

    Args:
        name: What is typed after `psk`; its entry point is `command.<name>`. A command of the group `plugins` has a dot
            in its name: `plugins.check` is typed as `psk plugins check`.
        target: Something with `add_arguments(parser)` and `run(arguments) -> int`, as `module:attribute`; a class is
            called without arguments, and its docstring is the text of `psk <name> --help`.
        summary: One line for `psk plugins show`, and for the help of a command without docstring.
        example: A command line that ends the text of `psk <name> --help`.
    """

    kind = "command"

    def __init__(self, name: str, *, target: str, summary: str = "", example: str = "") -> None:
        super().__init__(name, target=target, summary=summary)
        self.example = self._text("example", example)


HOOKS: dict[str, tuple[str, type[Description]]] = {
    each.kind: (f"psk_{each.kind}s", each)
    for each in (ConnectorPlugin, CodecPlugin, CommandPlugin, BrokerPlugin, TransportPlugin, EnginePlugin)
}
"""By kind: the hook that describes what a plug-in adds, and the class of these descriptions."""

OBSERVER_HOOKS = ("psk_after_put", "psk_after_get", "psk_after_evict", "psk_after_resolve")
KINDS = (*HOOKS, "observer")


def psk_connectors() -> Iterable[ConnectorPlugin]:
    """Describe the connectors that this plug-in adds."""
    return ()


def psk_codecs() -> Iterable[CodecPlugin]:
    """Describe the codecs that this plug-in adds."""
    return ()


def psk_commands() -> Iterable[CommandPlugin]:
    """Describe the commands that this plug-in adds to the program `psk`."""
    return ()


def psk_brokers() -> Iterable[BrokerPlugin]:
    """Describe the brokers that this plug-in adds."""
    return ()


def psk_transports() -> Iterable[TransportPlugin]:
    """Describe the transports that this plug-in adds."""
    return ()


def psk_engines() -> Iterable[EnginePlugin]:
    """Describe the integrations of engines that this plug-in adds."""
    return ()


def psk_after_put(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Be told that an object was stored.

    Args:
        store: The store's name.
        key: The object's key.
        nbytes: Bytes of its payload.
        seconds: Duration of the whole call; each object of a batch gets an equal share.
    """


def psk_after_get(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Be told that an object was requested by its key; arguments as of `psk_after_put`.

    `nbytes` counts the bytes that moved: 0 if the store had the object cached, or the channel had none.
    """


def psk_after_evict(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Be told that an object was evicted by its key; `nbytes` is 0, arguments as of `psk_after_put`."""


def psk_after_resolve(store: str, key: str, nbytes: int, seconds: float) -> None:
    """Be told that a proxy was resolved; arguments as of `psk_after_get`."""
