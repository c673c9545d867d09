"""Mask what may be a password in URIs that are shown, including those from untrusted references."""

from __future__ import annotations

import re

MASK = "***"
DEEPEST = 4
"""Levels of percent-encoding that are decoded, as in URIs in the options of another; more are not in use."""

_split = re.compile(r"([A-Za-z][A-Za-z0-9+.-]{0,31}://)([^/?#]*)(/?[^?#]*)(?:\?([^#]*))?(#.*)?", re.DOTALL).fullmatch
# A port has five digits at most; what else follows a colon may be the beginning of a password with a slash in it.
_is_host = re.compile(r"(?:[\w.~%*-]*|\[[\w.:%*]*\])(?::[\d*]{1,5})?", re.ASCII).fullmatch
_is_secret = re.compile(r"pass|pw|secret|token|auth|cred|key|sig", re.IGNORECASE).search


def masked_uri(uri: object) -> str:
    """Return a URI without what is, or may be, a secret: a password before the host, or an option named like one.

    Args:
        uri: A URI as text or bytes, which need not be valid; a pattern of URIs; or anything that was given as one.
    """
    if isinstance(uri, bytes):
        uri = uri.decode("latin-1")  # which takes any byte
    return _masked(str(uri), DEEPEST)


def _masked(uri: str, depth: int) -> str:
    found = _split(uri)
    if found is None:
        return MASK if any(mark in _unquoted(uri) for mark in "@?#") else uri
    scheme, authority, path, query, fragment = found.groups()
    if ":" in _unquoted(authority) and "@" in _unquoted(uri[found.end(2) :]):
        # A password with a slash, a question mark or a hash continues in what parses as path, query or fragment.
        return f"{scheme}{_masked_user(authority)}/{MASK}"
    shown = scheme + _masked_authority(authority) + path
    if query is not None:
        shown += "?" + "&".join(_masked_option(option, depth) for option in query.split("&"))
    return f"{shown}#{MASK}" if fragment else shown


def _masked_user(authority: str) -> str:
    return f"{_unquoted(authority).partition(':')[0]}:{MASK}"


def _masked_authority(authority: str) -> str:
    plain = _unquoted(authority)
    user, _, place = plain.rpartition("@")
    if ":" in user:
        return f"{user.partition(':')[0]}:{MASK}@{place if _are_hosts(place) else MASK}"
    return authority if _are_hosts(place) else MASK


def _unquoted(text: str) -> str:
    if "%" not in text:
        return text
    from urllib.parse import unquote  # costs as much to import as a connector

    return unquote(text)


def _are_hosts(text: str) -> bool:
    return all(map(_is_host, text.split(",")))


def _masked_option(option: str, depth: int) -> str:
    name, equals, value = option.partition("=")
    if not equals:
        return MASK if option else ""
    plain = _unquoted(value)
    named = _unquoted(name) + plain * ("=" in plain)  # some separate options by other signs
    secret = _is_secret(named) or "@" in plain or (plain != value and (not depth or _hides(plain, depth)))
    return f"{name}={MASK}" if secret else option


def _hides(value: str, depth: int) -> bool:
    return _masked(value, depth - 1) != value
