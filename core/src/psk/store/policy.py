"""Which proxies may this process resolve, and what may their payloads do?"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from psk.errors import StoreConfigError, UnsignedError, UntrustedChannelError
from psk.plugins.importing import on_demand
from psk.store.patterns import is_trusted, read_patterns
from psk.wire import find_signing_key

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psk.wire import Reference


SIGNING = ("optional", "required")
CODECS = ("any", "raw")


class TrustPolicy:
    """Rules for every proxy that reaches this process from outside.

    Args:
        signing: `"required"` refuses unsigned references and payloads; `"optional"` checks those that are signed.
        trusted: URI patterns (as of `fnmatch`) of the channels that a proxy may open; None trusts all.
        codecs: `"raw"` decodes only bytes, bytearray, memoryview and str, never a pickle; `"any"` decodes all.
    """

    __slots__ = ("codecs", "signing", "trusted")

    def __init__(self, signing: str = "optional", trusted: Iterable[str] | None = None, codecs: str = "any") -> None:
        self.signing = _chosen("signing", signing, SIGNING)
        self.trusted = read_patterns("policy", trusted)
        self.codecs = _chosen("codecs", codecs, CODECS)

    def admit(self, reference: Reference) -> None:
        """Check a reference before anything is opened for it.

        Raises:
            UntrustedChannelError: Its channel is not among the trusted ones.
            UnsignedError: It is unsigned where a signature is required.
            SigningKeyMissingError: It is signed with a key that this process does not have.
            SignatureError: Its signature is wrong.
        """
        if self.trusted is not None and not is_trusted(reference.uri, self.trusted):
            with on_demand:
                from psk.masking import masked_uri  # only failures need it

            raise UntrustedChannelError(
                f"a proxy names the channel {reference.shown_uri!r}, which this process does not trust",
                found=map(masked_uri, self.trusted),
                remedy="refuse the proxy, or add the channel with psk.set_policy(trusted=[...])",
            )
        if reference.signed_by:
            reference.verify(find_signing_key(reference.signed_by))
        elif self.signing == "required":
            raise UnsignedError(
                f"the proxy of object {reference.key!r} is not signed",
                remedy="make it with a store that has a signing_key",
            )


def _chosen(name: str, value: str, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise StoreConfigError(f"{name} cannot be {value!r:.80}", found=choices, remedy="choose one of those found")
    return value


def _from_environment() -> TrustPolicy:
    trusted = os.environ.get("PSK_TRUSTED")
    return TrustPolicy(
        signing=_chosen("PSK_SIGNING", os.environ.get("PSK_SIGNING", "optional"), SIGNING),
        trusted=None if trusted is None else [pattern for pattern in trusted.split(",") if pattern],
        codecs=_chosen("PSK_CODECS", os.environ.get("PSK_CODECS", "any"), CODECS),
    )


_current: TrustPolicy | None = None


def get_policy() -> TrustPolicy:
    """Give the policy of this process: as set, or from PSK_SIGNING, PSK_TRUSTED (comma-separated) and PSK_CODECS."""
    global _current  # noqa: PLW0603  one policy per process is the point
    if _current is None:
        _current = _from_environment()
    return _current


def set_policy(*, signing: str = "optional", trusted: Iterable[str] | None = None, codecs: str = "any") -> TrustPolicy:
    """Set the rules for every proxy that this process resolves from now on; see `TrustPolicy`.

    Returns:
        The policy that was in force before.

    Raises:
        StoreConfigError: A value is not possible.
    """
    global _current  # noqa: PLW0603  as above
    before = get_policy()
    _current = TrustPolicy(signing, trusted, codecs)
    return before
