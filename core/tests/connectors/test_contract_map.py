"""Compare docs/contract.md with the code: the map of capabilities, the errors and the numbers of the rules."""

import re
import time
from itertools import pairwise
from pathlib import Path

import pytest

from psk import connectors, errors
from psk.connectors import CAPABILITIES, capabilities_of, find_connector, poll
from psk.connectors.catalog import BUILT_IN

ROOT = Path(__file__).parents[3]
CONTRACT = (ROOT / "docs/contract.md").read_text()
ROWS = [
    [cell.strip(" `") for cell in line.strip("|").split("|")] for line in CONTRACT.splitlines() if line.startswith("|")
]


#: Channels of distributions of their own, which test their columns themselves.
ELSEWHERE = ("redis",)


def test_the_map_has_every_channel_and_every_capability():
    header = next(row for row in ROWS if row[0] == "capability")
    assert sorted(header[1:]) == sorted([*BUILT_IN, *ELSEWHERE])
    assert [row[0] for row in ROWS if row[0].startswith("Supports")] == [power.__name__ for power in CAPABILITIES]


def channels_of(multi):
    """Give the channels that a multi connector uses, opened by it."""
    return [child.connector() for child in multi._routes.children]


@pytest.mark.parametrize("capability", CAPABILITIES, ids=lambda power: power.__name__)
def test_the_map_says_what_isinstance_says(connector, capability):  # C39
    header = next(row for row in ROWS if row[0] == "capability")
    row = dict(zip(header, next(row for row in ROWS if row[0] == capability.__name__), strict=True))
    used = channels_of(connector) if row[connector.scheme] == "common" else [connector]
    assert isinstance(connector, capability) == all(row[channel.scheme] != "no" for channel in used)


def test_all_capabilities_at_once_are_those_of_isinstance(connector):  # C39
    expected = {capability for capability in CAPABILITIES if isinstance(connector, capability)}
    assert capabilities_of(connector) == expected
    if connector.scheme != "multi":  # its instances differ
        assert capabilities_of(type(connector)) == expected


def test_durabilities_and_leaving_the_host_are_as_the_map_says(connector):
    header = next(row for row in ROWS if row[0] == "capability")
    promised, leaves = (
        dict(zip(header, next(row for row in ROWS if row[0] == name), strict=True))
        for name in ("durabilities", "leaves_host")
    )
    used = channels_of(connector) if promised[connector.scheme] == "common" else [connector]
    assert all(level in promised[channel.scheme] for channel in used for level in connector.durabilities)
    assert connector.leaves_host == any(leaves[channel.scheme] == "yes" for channel in used)


def test_every_error_of_the_table_exists():
    table = [row[1] for row in ROWS if row[1].endswith("Error")]
    assert len(table) > 10
    assert all(issubclass(getattr(errors, name), errors.PskError) for name in table)


def test_rules_are_numbered_once_and_in_order():
    numbers = [int(number) for number in re.findall(r"^- \*\*C(\d+)\*\*", CONTRACT, re.MULTILINE)]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_public_name_is_there():
    assert all(hasattr(connectors, name) for name in connectors.__all__)
    assert all(find_connector(scheme).scheme == scheme for scheme in BUILT_IN)


def test_an_interval_is_kept_between_two_looks():  # C61
    looks = []

    def look():
        looks.append(time.monotonic())
        return len(looks) == 4

    assert poll(look, time.monotonic() + 10, interval=0.03)
    assert all(later - earlier >= 0.03 for earlier, later in pairwise(looks))
    assert poll(look, time.monotonic(), interval=30) is False
