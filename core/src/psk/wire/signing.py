"""Hold signing keys, and find their secrets in this process, its environment or key files."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, NoReturn

from psk.errors import SignatureError, SigningError, SigningKeyMissingError, UnsignedError
from psk.plugins.importing import on_demand

if TYPE_CHECKING:
    from collections.abc import Iterable

    from psk.wire.codec import Buffer

is_signing_key_name = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}").fullmatch
_NAME_RULE = "use 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot"
_MINIMUM_SECRET = 16
_MAXIMUM_FILE = 4096
# Compiled when a key is read: most processes have none, and pay for each pattern at import.
_HEX = r"(?:[0-9a-fA-F]{2})+"
_BASE64 = r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"

_SPACE = " \t\r\n"

_keys: dict[str, SigningKey] = {}


class SigningKey:
    """Hold a secret under a name. What the key signs contains the name, and never the secret.

    Args:
        name: 1 to 64 of A-Z a-z 0-9 . _ -, not beginning with a dot.
        secret: At least 16 bytes, random.

    Raises:
        SigningError: Name or secret does not qualify.
    """

    __slots__ = ("_secret", "name")

    def __init__(self, name: str, secret: bytes) -> None:
        self.name = _checked_name(name)
        if not isinstance(secret, bytes | bytearray) or len(secret) < _MINIMUM_SECRET:
            raise SigningError(
                f"the secret of signing key {name!r} is too short, or is not bytes",
                remedy=f"use at least {_MINIMUM_SECRET} random bytes, such as os.urandom(32)",
            )
        self._secret = bytes(secret)
        with on_demand:
            import hmac  # noqa: F401  # by `authenticate`: a key that cannot sign is noticed here

    def authenticate(self, parts: Iterable[Buffer]) -> bytes:
        """Return the HMAC-SHA256 (RFC 2104) of the parts, one after the other: 32 bytes."""
        import hmac  # costs 3 ms that unsigned stores need not pay

        mac = hmac.new(self._secret, digestmod="sha256")
        for part in parts:
            mac.update(part)
        return mac.digest()

    def verify(self, what: str, signed_by: str, mac: bytes, size: int, parts: Iterable[Buffer]) -> None:
        """Check that this key signed something, in constant time.

        Args:
            what: What was signed, for messages.
            signed_by: Name of the key that is said to have signed it; empty if it is not signed.
            mac: The signature.
            size: How many of the HMAC's first bytes make a signature here.
            parts: What is signed, one after the other.

        Raises:
            UnsignedError: It is not signed.
            SignatureError: Another key signed it, or it was changed since.
        """
        if not signed_by:
            raise UnsignedError(f"{what} is not signed", remedy="have its producer set a signing key")
        import hmac  # as above

        if signed_by != self.name or not hmac.compare_digest(self.authenticate(parts)[:size], mac):
            raise SignatureError(
                f"{what} does not carry a valid signature of key {self.name!r}",
                found=[f"signed by {signed_by!r}"],
                remedy="it was forged or changed, or producer and consumer hold different keys of that name",
            )

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r}, <secret>)"

    def __reduce__(self) -> NoReturn:
        raise SigningError(
            f"signing key {self.name!r} cannot be pickled",
            remedy="give every process the secret itself: environment, key file or psk.set_signing_key",
        )


def set_signing_key(name: str, secret: bytes | str | None) -> None:
    """Set the secret of a signing key in this process, ahead of all other sources.

    Args:
        name: The key's name.
        secret: At least 16 bytes. Text is read as hexadecimal if possible, else as base64, else as UTF-8. None removes
            the secret that was set.

    Raises:
        SigningError: Name or secret does not qualify.
    """
    if secret is None:
        _keys.pop(_checked_name(name), None)
    else:
        _keys[name] = SigningKey(name, _read_secret(secret) if isinstance(secret, str) else secret)


def find_signing_key(name: str) -> SigningKey:
    """Return the signing key of this name: set in this process, from the environment, or from a key file.

    Raises:
        SigningKeyMissingError: None of the three places has it; the message lists them.
        SigningError: The name is malformed, the secret too short, or the key file readable by others.
    """
    key = _keys.get(_checked_name(name))
    if key is not None:
        return key
    variable = "PSK_SIGNING_KEY_" + re.sub(r"[-.]", "_", name).upper()
    text = os.environ.get(variable)
    if text:
        return SigningKey(name, _read_secret(text))
    folder = os.environ.get("PSK_KEY_DIR") or os.path.expanduser("~/.config/psk/keys")  # noqa: PTH111  # as below
    path = os.path.join(folder, name)  # noqa: PTH118  # pathlib costs 6 ms at import
    secret = _read_key_file(path)
    if secret is None:
        raise SigningKeyMissingError(
            f"signing key {name!r} is not known in this process",
            remedy=f"call psk.set_signing_key, set {variable}, or write {path} with mode 0600",
        )
    return SigningKey(name, secret)


def _checked_name(name: str) -> str:
    if not isinstance(name, str) or not is_signing_key_name(name):
        # Not shown: it may be the secret itself, given where its name belongs.
        kind = (
            f"text of {len(name)} characters" if isinstance(name, str) else f"an object of type {type(name).__name__}"
        )
        raise SigningError(f"a signing key name was expected, not {kind}", remedy=_NAME_RULE)
    return name


def _read_secret(text: str) -> bytes:
    """Return the bytes that text encodes: hexadecimal, else base64, else the text in UTF-8.

    If decoding gives fewer bytes than a secret must have, the text itself is the secret. The result must be the same
    on every host, so it depends on the text alone.
    """
    text = text.strip(_SPACE)
    if len(text) >= 2 * _MINIMUM_SECRET and re.fullmatch(_HEX, text):
        return bytes.fromhex(text)
    if re.fullmatch(_BASE64, text):
        with on_demand:
            import binascii  # only where a key is read

        secret = binascii.a2b_base64(text)
        if len(secret) >= _MINIMUM_SECRET:
            return secret
    return text.encode("utf-8", "surrogateescape")


def _read_key_file(path: str) -> bytes | None:
    """Return the secret in a key file, or None if there is no such file."""
    with on_demand:
        from psk.credentials import read_secret  # only where a key is read

    content = read_secret(path, what="key file", error=SigningError, most_bytes=_MAXIMUM_FILE, follow_links=False)
    if content is None:
        return None
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return content
    # Random bytes may happen to be UTF-8: only what somebody could have typed is text.
    return _read_secret(text) if text.strip(_SPACE).isprintable() else content
