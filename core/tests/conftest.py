"""What do the tests of the core share?"""

import pytest


@pytest.fixture(params=["local", "file"])
def uri(request, tmp_path):
    """The URI of each channel in turn, empty."""
    from psk.connectors import open_connector

    address = (
        f"file://{tmp_path}/objects"
        if request.param == "file"
        else f"local://{request.node.nodeid.encode().hex()[-24:]}"
    )
    yield address
    with_objects = open_connector(address)
    with_objects.clear()
    with_objects.close()


@pytest.fixture
def store(uri):
    """An open store on each channel in turn."""
    import psk

    with psk.Store("tested", uri) as opened:
        yield opened
        opened_elsewhere = psk.store.close_opened_stores
        opened_elsewhere()
