"""How is something done with the channel of a store that its user may have closed meanwhile?"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from psk import Store

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def reopened(store: Store) -> Iterator[Store]:
    """Give the store itself while it is open, else a private one over its channel, closed at the end of the block.

    Raises:
        PskError: The channel cannot be opened again.
    """
    if not store.closed:
        yield store
        return
    with Store.from_config(store.config(), register=False) as private:
        yield private
