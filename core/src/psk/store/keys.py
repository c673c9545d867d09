"""What a store takes for a key: what `put` returned, or a proxy of it, and never a proxy of the object."""

from __future__ import annotations

from typing import Any

from psk.connectors import validate_key
from psk.errors import InvalidKeyError
from psk.proxy import Proxy, extract, is_resolved


def is_proxy(value: object) -> bool:
    """Tell whether something is a proxy, without asking its target."""
    return issubclass(type(value), Proxy)


def check_key(key: Any) -> str:
    """Return the key if it is one; a proxy that is not known to stand for a text is never resolved to find out.

    Raises:
        InvalidKeyError: It is not one.
    """
    if type(key) is str or not is_proxy(key):
        return validate_key(key)
    if is_resolved(key) or _known_class(key) is str:
        target = extract(key)
        if isinstance(target, str):
            return validate_key(target)
    raise InvalidKeyError(
        "a proxy is not a key", remedy="pass psk.get_key(proxy), or use the proxy itself as if it were the object"
    )


def _known_class(proxy: Any) -> object:
    try:
        return object.__getattribute__(proxy, "__proxy_default_class__")
    except AttributeError:
        return None
