"""docs/contract.md says of Redis what the connector can do."""

import inspect
import re
from pathlib import Path

import pytest

from psk.connectors import CAPABILITIES, DURABILITIES, open_connector
from psk_connector_redis.connector import RedisConnector
from psk_connector_redis.plugin import psk_connectors
from psk_connector_redis.settings import READERS

CONTRACT = (Path(__file__).parents[3] / "docs/contract.md").read_text()
ROWS = [[cell.strip() for cell in line.strip("|").split("|")] for line in CONTRACT.splitlines() if line.startswith("|")]
PLACE = next(row for row in ROWS if row[0] == "capability").index("redis")
COLUMN = {row[0]: row[PLACE] for row in ROWS if len(row) > PLACE}


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda power: power.__name__)
def test_the_map_says_what_the_class_can_do(capability):  # C39
    assert (COLUMN[capability.__name__] != "no") == issubclass(RedisConnector, capability)


def test_the_form_of_its_uris_has_every_option():  # C36
    (described,) = psk_connectors()
    (query,) = re.findall(r"\{\?([\w,]+)\}", described.uri)
    assert set(query.split(",")) == set(READERS) - {"authority", "path", "db"}
    arguments = set(inspect.signature(RedisConnector).parameters) - {"password", "credential_provider"}
    assert set(re.findall(r"\w+", described.uri)) == arguments


def test_the_map_says_what_it_promises():
    assert all(level in COLUMN["durabilities"] for level in DURABILITIES)
    assert COLUMN["leaves_host"] == "yes, but for a Unix socket"


def test_a_unix_socket_leads_nowhere_else(redis_server):  # C33
    for uri, leaves_host in ((redis_server.uri, True), (redis_server.socket_uri, False)):
        with open_connector(uri) as connector:
            assert connector.leaves_host is leaves_host
            assert open_connector(connector.uri()).close() is None
