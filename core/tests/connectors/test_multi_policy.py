"""Routing policies of a multi connector: what they accept, what is refused, and their form in a URI."""

import pickle
import socket
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psk.connectors import format_uri, parse_uri
from psk.connectors.multi import MultiConnector, Policy
from psk.errors import ConnectorConfigError

HOST = socket.gethostname()
ELSEWHERE = "some-other-host"


@pytest.mark.parametrize(
    ("policy", "asked", "taken"),
    [
        (Policy(), {}, True),
        (Policy(), {"size_bytes": sys.maxsize, "subset_tags": (), "superset_tags": ["any"]}, True),
        (Policy(), {"subset_tags": ["unknown"]}, False),
        (Policy(min_size_bytes=10), {"size_bytes": 9}, False),
        (Policy(min_size_bytes=10), {"size_bytes": 10}, True),
        (Policy(max_size_bytes=10), {"size_bytes": 10}, True),
        (Policy(max_size_bytes=10), {"size_bytes": 11}, False),
        (Policy(max_size_bytes=10), {}, True),
        (Policy(subset_tags=["a", "b"]), {"subset_tags": ["a"]}, True),
        (Policy(subset_tags=["a", "b"]), {"subset_tags": ["a", "c"]}, False),
        (Policy(subset_tags=["a", "b"]), {"subset_tags": []}, True),
        (Policy(superset_tags=["a"]), {"superset_tags": ["a", "c"]}, True),
        (Policy(superset_tags=["a"]), {"superset_tags": ["c"]}, False),
        (Policy(superset_tags=["a"]), {"superset_tags": []}, False),
        (Policy(superset_tags=["a"]), {}, True),
    ],
)
def test_a_policy_takes_what_it_says(policy, asked, taken):
    assert policy.is_valid(**asked) == taken


@pytest.mark.parametrize(
    ("pattern", "valid"),
    [
        (None, True),
        (HOST, True),
        (HOST[:-1], False),
        (".*", True),
        (ELSEWHERE, False),
        ([ELSEWHERE, HOST], True),
        ((ELSEWHERE,), False),
    ],
)
def test_a_host_is_matched_by_its_whole_name(pattern, valid):
    assert Policy(host_pattern=pattern).is_valid_on_host() == valid


@pytest.mark.parametrize(
    "options",
    [
        {"priority": "high"},
        {"priority": True},
        {"min_size_bytes": -1},
        {"min_size_bytes": 1.5},
        {"max_size_bytes": None},
        {"max_size_bytes": 2**80},
        {"min_size_bytes": 2, "max_size_bytes": 1},
        {"subset_tags": "abc"},
        {"superset_tags": [""]},
        {"superset_tags": [b"a"]},
        {"superset_tags": 7},
        {"subset_tags": ["line\nbreak"]},
        {"subset_tags": ["x" * 300]},
        {"host_pattern": "("},
        {"host_pattern": "a{9999999999999999999}"},
        {"host_pattern": []},
        {"host_pattern": ""},
        {"host_pattern": 7},
    ],
)
def test_a_senseless_policy_is_refused(options):
    with pytest.raises(ConnectorConfigError) as caught:
        Policy(**options)
    assert caught.value.remedy
    assert len(str(caught.value)) < 400


def test_a_policy_is_a_value():
    policy = Policy(3, "node.*", 1, 9, ["a"], ["b"])
    assert policy == Policy(**policy.as_dict()) != Policy()
    assert hash(policy) == hash(Policy(**policy.as_dict()))
    assert pickle.loads(pickle.dumps(policy)) == policy
    with pytest.raises(AttributeError):
        policy.priority = 4
    assert repr(Policy(2, max_size_bytes=5)) == "Policy(priority=2, max_size_bytes=5)"


TEXTS = st.lists(st.text(st.characters(min_codepoint=32, exclude_categories=("Cs", "Cc")), min_size=1, max_size=12))
SIZES = st.integers(0, sys.maxsize)


@given(st.integers(-sys.maxsize, sys.maxsize), st.tuples(SIZES, SIZES).map(sorted), TEXTS, TEXTS)
def test_every_policy_travels_in_the_uri(priority, sizes, subset, superset):  # C35, C36
    policy = Policy(priority, r"node[0-9]{1,3}%2C\.(a|b)", *sizes, subset[:4], superset[:4])
    multi = MultiConnector({"one": ("file:///nowhere", policy), "two": "file:///nowhere-else"})
    again = MultiConnector.from_config(parse_uri(format_uri(multi.config())))
    assert again._routes.children[0].policy == policy
    assert again.config() == multi.config()
    multi.close()
    again.close()
