"""Make proxies of targets of which something is known, and tell what there is to know."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from psk.proxy.forms import BUFFER, form_for
from psk.proxy.layout import write_factory, write_target
from psk.proxy.proxy import Proxy, rebuild_proxy

if TYPE_CHECKING:
    from collections.abc import Callable


def make_proxy(
    factory: Callable[[], Any],
    default_class: type | None = None,
    default_hash: int | None = None,
    *,
    protocols: int | None = None,
    target: Any = None,
    cls: Any = Proxy,
) -> Any:
    """Make a proxy of whose target something, or all, is known beforehand.

    Args:
        factory: Callable without arguments that returns the target.
        default_class: The target's class, if known: `isinstance` and `p.__class__` then do not resolve.
        default_hash: The target's hash, if known: `hash(p)` then does not resolve.
        protocols: What `protocols_of` gave for the target, if its class is not known but this is.
        target: The target, if the proxy is to be resolved already; None stands for unknown.
        cls: The class of the proxy, Proxy or one of its subclasses; its `__init__` is not called.
    """
    if target is not None:
        made = object.__new__(form_for(cls, type(target)))
        write_factory(made, factory)
        write_target(made, target)
        return made
    return rebuild_proxy(cls, factory, default_class, default_hash, protocols)


def protocols_of(target: Any) -> int:
    """Return the protocols of an object's type, as a number that means the same in every process."""
    bits: int = form_for(Proxy, type(target)).__proxy_protocols__
    if sys.version_info < (3, 12):
        # Here types do not tell, and readers of a newer Python want to know.
        try:
            memoryview(target).release()
        except (TypeError, ValueError, BufferError):
            pass
        else:
            bits |= BUFFER
    return bits
