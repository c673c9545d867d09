"""How do objects end with a block of code?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from psk_patterns.lifetimes.lifetime import EvictingLifetime

if TYPE_CHECKING:
    from psk import Store


class ContextLifetime(EvictingLifetime):
    """Evict objects at the end of a `with` block, or at `close()`.

    It works on every channel. If the process dies before, the objects stay, as no one is left to evict them; where
    that matters, `LeaseLifetime` is the better choice.

        with ContextLifetime(store) as lifetime:
            proxy = store.proxy(array, lifetime=lifetime)

    Args:
        store: Where keys are that are attached without a store.
        name: What messages call the lifetime.
    """

    def __init__(self, store: Store, *, name: str | None = None) -> None:
        super().__init__(store, name)
