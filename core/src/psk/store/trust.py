"""Decide which channels the proxies that arrive in this process may open, and what may be decoded for them."""

from __future__ import annotations

import os
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias

from psk.connectors import format_uri, parse_uri, shown
from psk.errors import StoreConfigError, UnsignedError, UntrustedChannelError
from psk.plugins.importing import on_demand
from psk.wire import find_signing_key, shown_uri

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from psk.wire import Reference

SIGNING = ("optional", "required")
CODECS = ("any", "raw")


def read_patterns(owner: str, trusted: Any) -> tuple[str, ...] | None:
    """Read the value of an option `trusted`.

    Args:
        owner: What has the option, for the error message.
        trusted: An iterable of URI patterns, or None.

    Returns:
        The patterns, sorted and without duplicates, since only their set matters; None for None.

    Raises:
        StoreConfigError: The value is something else.
    """
    if trusted is None:
        return None
    try:
        patterns = {*trusted}
    except TypeError:
        patterns = {None}
    if isinstance(trusted, str) or not all(isinstance(pattern, str) and pattern for pattern in patterns):
        # A string is not echoed: it may contain a password.
        value = "a single string" if isinstance(trusted, str) else shown(trusted)
        raise StoreConfigError(
            f"{owner} trusted cannot be {value}",
            remedy="give a list of URI patterns, such as ['file:///scratch/project/*'], or None",
        )
    return tuple(sorted(patterns))


def is_trusted(uri: str, patterns: Iterable[str], own: str = "") -> bool:
    """Tell whether a URI names a trusted channel, or several channels that are all trusted.

    Args:
        uri: The URI that a proxy names.
        patterns: URI patterns as of `fnmatch`; one must match the canonical form of the URI.
        own: The canonical URI of a channel that is trusted in addition.

    Raises:
        ConnectorConfigError: It is not the URI of a connector.
    """
    with on_demand:
        from fnmatch import fnmatchcase  # only processes with a list need it

    config = parse_uri(uri)
    # A pattern for a directory must not match paths that leave the directory.
    if ".." in str(config.get("path", "")).split("/"):
        return False
    canonical = format_uri(config)
    if canonical == own:
        return True
    if config["scheme"] == "multi":  # only a list of channels, each of which must be trusted
        children = [str(child) for option, child in config.items() if option.startswith("to")]
        return bool(children) and all(is_trusted(child, patterns, own) for child in children)
    return any(fnmatchcase(canonical, pattern) for pattern in patterns)


Limits: TypeAlias = tuple[tuple[str, str, tuple[str, ...]], ...]
"""The limits of a proxy, which must satisfy all: the name of a store, the URI of its channel, its option `trusted`."""


def check_limits(limits: Limits, reference: Reference) -> None:
    """Check a reference that was found in an object of a store, or in an object reached through one.

    Raises:
        UntrustedChannelError: One of the stores does not trust its channel.
        ConnectorConfigError: Its URI is not that of a channel.
    """
    for store, own, patterns in limits:
        if not is_trusted(reference.uri, patterns, own):
            raise _untrusted(
                f"a proxy found in an object of store {store!r} names the channel {reference.shown_uri!r}, which"
                " that store does not trust",
                (own, *patterns),
                "refuse the object, or add the channel to the store's trusted=[...]",
            )


_in_force: ContextVar[Limits] = ContextVar("psk limits", default=())
limits_in_force = _in_force.get
"""Return the limits of the object that is being decoded here; a proxy that is restored meanwhile keeps them."""


@contextmanager
def handing_on(limits: Limits) -> Iterator[None]:
    """Hand limits, and those in force already, to the proxies that are restored in a `with` block."""
    # Without duplicates: the limits of a chain of proxies through one store must not grow with its length.
    token = _in_force.set(tuple(dict.fromkeys((*_in_force.get(), *limits))))
    try:
        yield
    finally:
        _in_force.reset(token)


class TrustPolicy:
    """Rules for every proxy that arrives in this process.

    Args:
        signing: `"required"` refuses unsigned references and payloads; `"optional"` checks those that are signed.
        trusted: URI patterns (as of `fnmatch`) of the channels that a proxy may open; None trusts all.
        codecs: `"raw"` decodes only bytes, bytearray, memoryview and str, never a pickle; `"any"` decodes all.
    """

    __slots__ = ("codecs", "signing", "trusted")

    def __init__(self, signing: str = "optional", trusted: Iterable[str] | None = None, codecs: str = "any") -> None:
        self.signing = chosen("signing", signing, SIGNING)
        self.trusted = read_patterns("policy", trusted)
        self.codecs = chosen("codecs", codecs, CODECS)

    def admit(self, reference: Reference) -> None:
        """Check a reference before anything is opened for it.

        Raises:
            UntrustedChannelError: Its channel is not trusted.
            UnsignedError: It is unsigned where a signature is required.
            SigningKeyMissingError: It is signed with a key that this process does not have.
            SignatureError: Its signature is wrong.
        """
        if self.trusted is not None and not is_trusted(reference.uri, self.trusted):
            raise _untrusted(
                f"a proxy names the channel {reference.shown_uri!r}, which this process does not trust",
                self.trusted,
                "refuse the proxy, or add the channel with psk.set_policy(trusted=[...])",
            )
        if reference.signed_by:
            reference.verify(find_signing_key(reference.signed_by))
        elif self.signing == "required":
            raise UnsignedError(
                f"the proxy of object {reference.key!r} is not signed",
                remedy="make it with a store that has a signing_key",
            )


def _untrusted(message: str, trusted: Iterable[str], remedy: str) -> UntrustedChannelError:
    return UntrustedChannelError(message, found=map(shown_uri, trusted), remedy=remedy)


def chosen(name: str, value: Any, choices: tuple[Any, ...]) -> Any:
    """Return the value of an option that has few.

    Raises:
        StoreConfigError: It is something else.
    """
    # With its type: 0 equals False, but some options are compared by identity.
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise StoreConfigError(
            f"{name} cannot be {shown(value)}", found=map(repr, choices), remedy="choose one of those found"
        )
    return value


_policy: TrustPolicy | None = None


def get_policy() -> TrustPolicy:
    """Return the policy of this process: as set, or from PSK_SIGNING, PSK_TRUSTED (comma-separated) and PSK_CODECS."""
    global _policy  # noqa: PLW0603  one policy per process is the point
    if _policy is None:
        trusted = os.environ.get("PSK_TRUSTED")
        _policy = TrustPolicy(
            signing=chosen("PSK_SIGNING", os.environ.get("PSK_SIGNING", "optional"), SIGNING),
            trusted=None if trusted is None else [pattern for pattern in trusted.split(",") if pattern],
            codecs=chosen("PSK_CODECS", os.environ.get("PSK_CODECS", "any"), CODECS),
        )
    return _policy


def set_policy(*, signing: str = "optional", trusted: Iterable[str] | None = None, codecs: str = "any") -> TrustPolicy:
    """Set the rules for every proxy that this process resolves from now on; see `TrustPolicy`.

    Returns:
        The policy that was in force before.

    Raises:
        StoreConfigError: A value is not valid.
    """
    global _policy  # noqa: PLW0603  as above
    before = get_policy()
    _policy = TrustPolicy(signing, trusted, codecs)
    return before
