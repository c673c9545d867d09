"""Close a connector while other threads wait on it."""

import threading

import pytest

from psk.connectors import open_connector
from psk.errors import ConnectorClosedError


@pytest.mark.parametrize("channel", ["local", "file", "shm", "multi", "multi of local"])
def test_a_close_ends_a_wait(channel, new_address, tmp_path):
    connector = open_connector(new_address(channel, tmp_path))
    closing = threading.Timer(0.1, connector.close)
    closing.start()
    with pytest.raises(ConnectorClosedError):
        connector.wait(["0" * 32], timeout=30)
    closing.join()


def test_a_close_wakes_nobody_else(new_address, tmp_path):
    uri = new_address("local", tmp_path)
    connector, other = open_connector(uri), open_connector(uri)
    closing = threading.Timer(0.05, other.close)
    closing.start()
    with pytest.raises(TimeoutError):
        connector.wait(["0" * 32], timeout=0.3)
    closing.join()
    connector.close()
