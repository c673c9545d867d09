"""What do the tests of all patterns share? A channel that can do little."""

import sys
from pathlib import Path

import pytest

import psk

# For `plain_channel`, which is imported by its name also where a `plain://` URI is opened.
sys.path.append(str(Path(__file__).parent))


@pytest.fixture
def plain_store(tmp_path):
    """Open stores with no powers but those named: `plain_store("reserve", "wait")`, over files; closed at the end.

    `channel="local://name"` keeps the objects elsewhere, other options are those of `Store`. Registered, as others are.
    """
    from plain_channel import PlainConnector, known

    opened = []

    def open_store(*powers, channel=None, **options):
        connector = PlainConnector(channel or f"file://{tmp_path}/plain-{len(opened)}", *powers)
        opened.append(psk.Store(f"plain-{len(opened)}", connector, **{"register": True, **options}))
        return opened[-1]

    with known():
        yield open_store
        psk.store.close_opened_stores()
        for store in opened:
            store.close()
