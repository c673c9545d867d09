"""The README agrees with the code: options, rights, durabilities, capabilities, and the URIs it shows."""

import re
from dataclasses import fields
from pathlib import Path

import pytest

from psk.connectors import CAPABILITIES, DURABILITIES, find_connector, parse_uri
from psk.connectors.toolkit import retry
from psk_connector_redis import credentials, writing
from psk_connector_redis.connector import RedisConnector
from psk_connector_redis.settings import READERS, SCHEMES, Settings

README = (Path(__file__).parents[1] / "README.md").read_text()


def rows(first):
    """The rows of the table whose first head is this, as lists of cells."""
    table = re.search(rf"^\| `?{re.escape(first)}`? \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", README, re.MULTILINE)[1]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]


def test_the_table_has_every_option_with_its_default():
    told = {name.strip("`"): default.strip("`") for name, default, _ in rows("option")}
    plain = {None: "", True: "true", False: "false"}
    defaults = {field.name: field.default for field in fields(Settings) if field.name in READERS}
    assert told == {
        name: plain[value] if value is None or isinstance(value, bool) else str(value)
        for name, value in defaults.items()
    }


def test_every_uri_that_is_shown_can_be_read():
    shown = [uri for uri in re.findall(r"`((?:redis|valkey|keydb)[a-z+]*://[^`]*)`", README) if not uri.endswith("://")]
    assert len(shown) > 5
    for uri in shown:
        Settings.read(parse_uri(uri))


@pytest.mark.parametrize("scheme", SCHEMES)
def test_every_scheme_is_served(scheme):
    assert find_connector(scheme) is RedisConnector
    assert scheme.partition("+")[0].rstrip("s") in README


def test_the_durabilities_are_those_of_the_contract():
    assert [level.strip("`") for level, *_ in rows("durability=")] == list(DURABILITIES)


def test_the_variables_are_those_that_are_read():
    for variable in (credentials.VARIABLE, credentials.SENTINEL_VARIABLE):
        assert f"`{variable}`" in README
        assert f"`{variable}_FILE`" in README
    assert f"`{credentials.HOSTS_VARIABLE}`" in README


def test_every_link_leads_somewhere_on_a_package_index_too():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not link.startswith(("https://", "#"))] == []


def test_the_powers_are_those_it_has():
    told = re.search(r"Capabilities: ([a-z, ]+)\.", README)[1].split(", ")
    assert told == [
        power.__name__.removeprefix("Supports").lower() for power in CAPABILITIES if issubclass(RedisConnector, power)
    ]


def test_the_figures_are_those_of_the_code():
    assert f"up to {retry.OUTAGE_SECONDS:.0f} seconds" in README
    assert f"parts of {writing.PART_BYTES >> 20} MB" in README
