"""Every error that psk raises, one sentence each, and the report of one that no caller is there to catch.

Each message has three parts: what failed, what exists instead, what to do.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable


class PskError(Exception):
    """Base of every error that psk raises on purpose.

    Args:
        what: One clause that says what failed, and names the object, key, connector or store concerned.
        found: What exists instead (names, sizes, states); shown in parentheses.
        remedy: What the reader can do about it; shown after a semicolon.
    """

    def __init__(self, what: str = "", *, found: Iterable[object] = (), remedy: str = "") -> None:
        super().__init__(what)
        self.found = tuple(map(str, found))
        self.remedy = remedy

    def __str__(self) -> str:
        text = str(self.args[0]) if self.args else ""
        if self.remedy:
            text += f"; {self.remedy}"
        if self.found:
            text += f" (found: {', '.join(self.found)})"
        return text


class DeadlineError(PskError, TimeoutError):
    """A call did not finish within its deadline."""


class ShortageError(PskError, RuntimeError):
    """This process lacks a resource that a call needs: a thread, memory, or a descriptor to import a module with."""


# --- objects and payloads -------------------------------------------------------------------------------------------


class SerializationError(PskError):
    """An object could not be encoded, or a payload could not be decoded."""


class CodecError(SerializationError, LookupError):
    """A payload names a codec, or a caller asks for one, that is not registered here."""


class CodecNotPortableError(SerializationError):
    """A proxy that depends on a serializer of this process alone was to be sent to another process."""


class CodecRefusedError(SerializationError):
    """The codec is known, but this store or process does not allow it to decode."""


class PayloadError(SerializationError, ValueError):
    """Bytes are truncated, damaged, swapped, or not a payload of psk."""


class InvalidReferenceError(PskError, ValueError):
    """The reference that a proxy carries is damaged, forged or of an unknown version."""


class SigningError(PskError):
    """A signature is missing, wrong, or cannot be computed or checked."""


class SigningKeyMissingError(SigningError, LookupError):
    """This process has no signing key of that name."""


class SignatureError(SigningError, ValueError):
    """A signature does not match the signed bytes: they were changed, or the key differs."""


class UnsignedError(SigningError):
    """Something unsigned arrived where a signature is required."""


class UntrustedChannelError(PskError, PermissionError):
    """A proxy names a channel that this process, or the store in whose objects it was found, does not trust."""


# --- connectors ------------------------------------------------------------------------------------------------------


class ConnectorError(PskError):
    """A connector could not do what it was asked."""


class UnknownConnectorError(ConnectorError, LookupError):
    """No connector is known for the scheme of a URI."""


class ConnectorConfigError(ConnectorError, ValueError):
    """A connector's URI or options are malformed or name something it does not have."""


class ConnectorClosedError(ConnectorError):
    """The connector was used after `close()`."""


class ForkedConnectorError(ConnectorError):
    """The connector cannot do this in a forked child; open a new one there."""


class CapabilityError(ConnectorError, NotImplementedError):
    """The channel does not support this operation."""


class ChannelUnavailableError(ConnectorError, ConnectionError):
    """The channel cannot be reached or refuses this process."""


class ChannelFullError(ConnectorError):
    """The channel has no space for the object; nothing was stored."""


class ShmFullError(ChannelFullError):
    """Shared memory is full, or the limit of a space is reached; nothing was stored."""


class ChannelDataError(ConnectorError):
    """The channel holds something under a key of psk that is not an object of psk."""


class DurabilityError(ConnectorError):
    """The channel cannot promise the durability asked for."""


class InvalidKeyError(ConnectorError, ValueError, TypeError):
    """A key is not a string of the form `<object id>` or `<object id>@<where>`."""


class InvalidArgumentError(ConnectorError, ValueError, TypeError):
    """A time, a claim, an object id or a range passed to a connector has the wrong type or is out of bounds."""


class KeyExistsError(ConnectorError):
    """The key holds a different object; objects are written once."""


class RevisionConflictError(ConnectorError):
    """An update was based on a revision that is no longer current."""


# --- plug-ins --------------------------------------------------------------------------------------------------------


class PluginError(PskError):
    """A plug-in cannot be used; the message names its distribution and version."""


class UnknownPluginError(PluginError, LookupError):
    """No installed distribution has a plug-in of this kind and name."""


class DuplicatePluginError(PluginError):
    """Several distributions claim the same kind and name."""


class IncompatiblePluginError(PluginError):
    """The plug-in's distribution requires another version of psk-core."""


class PluginNotAllowedError(PluginError, PermissionError):
    """The plug-in is not on this process's list of those that may load."""


class BrokenPluginError(PluginError):
    """The plug-in cannot be imported, or does not provide what its entry point declares."""


class PluginDependencyError(BrokenPluginError):
    """The plug-in needs a module that is not installed."""


# --- stores and proxies ----------------------------------------------------------------------------------------------


class StoreError(PskError):
    """A store could not do what it was asked."""


class StoreExistsError(StoreError):
    """Another store is registered in this process under the same name."""


class StoreClosedError(StoreError):
    """The store was used after `close()`."""


class StoreConfigError(StoreError, ValueError):
    """A store's options or configuration file are malformed."""


class PatternMissingError(StoreError, NotImplementedError):
    """The method belongs to a pattern that lives in the distribution psk-patterns."""


class NonProxiableTypeError(PskError, TypeError):
    """Objects compared by identity (None, True, False) cannot be proxied."""


class MissingKeyError(PskError, LookupError):
    """The key holds no object: it was never put, was evicted, or has expired."""


class ProxyError(PskError):
    """Base of the errors that using a proxy can raise."""


class ProxyResolveError(ProxyError):
    """The factory of a proxy failed; the original error is `cause`."""

    @property
    def cause(self) -> BaseException | None:
        """The factory's error; None after the error itself has travelled between processes."""
        return self.__cause__


class ProxyResolveMissingKeyError(ProxyResolveError, MissingKeyError):
    """A proxy was resolved whose object no longer exists."""


class ProxyStoreFactoryError(ProxyError, TypeError):
    """The proxy was made with a plain factory, not by a store."""


class InvalidFactoryError(ProxyError, TypeError):
    """The factory of a new proxy is not callable."""


class NotAProxyError(ProxyError, TypeError):
    """A function for proxies received another object."""


class ProxyLockedError(ProxyError, AttributeError):
    """A locked proxy was used before it was unlocked."""


# --- the command -----------------------------------------------------------------------------------------------------


class UsageError(PskError, ValueError):
    """The command line of the program `psk` is not valid."""


# --- reports ---------------------------------------------------------------------------------------------------------


def report_ignored(source: object, message: str, error: BaseException | None = None) -> None:
    """Hand an exception to `sys.unraisablehook`; never raises.

    Args:
        source: The function or object that the exception comes from.
        message: What was ignored, or not done.
        error: The exception; None is the one that is being handled.
    """
    error = sys.exc_info()[1] if error is None else error
    hook: Callable[[Any], object] = sys.unraisablehook
    with suppress(Exception):  # as the interpreter does with a hook that fails; and stderr may be closed or missing
        if hook is sys.__unraisablehook__:  # takes only what the interpreter makes
            from traceback import format_exception

            sys.stderr.write(f"{message}: {source!r}\n{''.join(format_exception(error))}")
        else:
            from types import SimpleNamespace

            seen = {"exc_type": type(error), "exc_value": error, "exc_traceback": getattr(error, "__traceback__", None)}
            hook(SimpleNamespace(**seen, err_msg=message, object=source))
