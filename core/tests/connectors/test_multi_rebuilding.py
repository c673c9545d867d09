"""Rebuild a multi connector in another process, also where one of its channels is missing."""

import pickle
import subprocess
import sys

import pytest

import psk
from psk.connectors import format_uri, open_connector
from psk.connectors.local import LocalConnector
from psk.connectors.multi import MultiConnector, Policy
from psk.errors import (
    ChannelUnavailableError,
    ConnectorConfigError,
    ProxyResolveError,
    UnknownConnectorError,
)
from psk.wire import encode


@pytest.fixture
def multi(tmp_path):
    opened = MultiConnector(
        {
            "memory": (LocalConnector(), Policy(priority=1, superset_tags=["here"])),
            "small": (f"file://{tmp_path}/small", Policy(max_size_bytes=1000)),
            "large": (f"file://{tmp_path}/large", Policy(min_size_bytes=1001)),
        }
    )
    yield opened
    opened.close()
    again = open_connector(format_uri(opened.config()))
    again.clear()
    again.close()


WORK = """
import pickle, sys
import psk
proxies, store, connector = pickle.loads(bytes.fromhex(sys.argv[1]))
sizes = store.proxy([len(proxy) for proxy in proxies], populate_target=False)
keys = [store.put("y" * size) for size in (10, 5000)]
print(pickle.dumps((sizes, keys, connector.config())).hex())
"""


def test_a_store_over_many_channels_is_rebuilt_in_another_process(multi):  # C36, C37
    with psk.Store("many", multi) as store:
        proxies = [store.proxy("x" * size, populate_target=False) for size in (10, 5000)]
        assert [psk.get_key(proxy)[33:] for proxy in proxies] == ["small", "large"]
        given = pickle.dumps((proxies, store, multi)).hex()
        done = subprocess.run([sys.executable, "-c", WORK, given], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        sizes, keys, config = pickle.loads(bytes.fromhex(done.stdout))
        assert sizes == [10, 5000]
        assert psk.get_key(sizes)[33:] == "small"
        assert [key[33:] for key in keys] == ["small", "large"]
        assert config == multi.config()
        assert [len(value) for value in store.get_batch(keys)] == [10, 5000]
    psk.store.close_opened_stores()


RESOLVE = """
import pickle, sys
for text in sys.argv[1:]:
    try:
        print(len(pickle.loads(bytes.fromhex(text))))
    except Exception as error:
        print(type(error).__name__, type(error.__cause__).__name__, error)
"""


def resolve_elsewhere(*proxies):
    arguments = [pickle.dumps(proxy).hex() for proxy in proxies]
    done = subprocess.run([sys.executable, "-c", RESOLVE, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_a_channel_that_cannot_be_reached_there_hurts_only_its_own_objects(multi):
    with psk.Store("many", multi) as store:
        here = store.proxy("never leaves", hints={"superset_tags": ["here"]})
        there = store.proxy("travels")
        unreachable, reached = resolve_elsewhere(here, there)
    assert unreachable.startswith("ProxyResolveError ChannelUnavailableError")
    assert "never leave their process" in unreachable
    assert reached == "7"


def test_a_channel_that_is_not_installed_hurts_only_its_own_objects(tmp_path):
    uri = f"multi://far,near?to1=ucx://host:7&to2=file://{tmp_path}/objects&min1=1000&priority1=1"
    with psk.Store.from_uri(uri) as store:
        near = store.proxy("near", populate_target=False)
        far = store.proxy_from_key("0" * 32 + "@far")
        assert near == "near"
        with pytest.raises(ProxyResolveError, match="no connector for 'ucx' is installed here") as caught:
            len(far)
        assert isinstance(caught.value.cause, UnknownConnectorError)
        with pytest.raises(UnknownConnectorError):
            store.put("x" * 1000)
        assert resolve_elsewhere(near) == ["4"]
    psk.store.close_opened_stores()


def test_the_uri_is_short_and_readable(tmp_path):
    policy = Policy(1, max_size_bytes=65536)
    multi = MultiConnector({"memory": ("local://x?process=1-a", policy), "disk": "file:///scratch"})
    assert format_uri(multi.config()) == (
        "multi://memory,disk?max1=65536&priority1=1&to1=local://x%3Fprocess=1-a&to2=file:///scratch"
    )
    multi.close()


def test_a_channel_without_a_place_gets_one_that_travels(decoded):
    multi = open_connector("multi://a,b?to1=local://&to2=local://")
    uri = format_uri(multi.config())
    first, second = (child.uri for child in multi._routes.children)
    assert first != second
    again = open_connector(uri)
    assert decoded(again.get(multi.put(encode("same")))) == "same"
    assert format_uri(again.config()) == uri
    multi.clear()
    multi.close()
    again.close()


def test_opening_it_opens_no_directory(tmp_path):
    multi = open_connector(f"multi://a?to1=file://{tmp_path}/objects")
    assert not list(tmp_path.iterdir())
    assert multi.get("0" * 32) is None
    assert [entry.name for entry in tmp_path.iterdir()] == ["objects"]
    multi.close()


def test_children_are_opened_by_whom_it_is_told(decoded):
    asked = []

    def open_child(uri):
        asked.append(uri)
        return LocalConnector()

    multi = MultiConnector.from_config({"authority": "a", "to1": "zmq://host:1"}, open_child=open_child)
    assert asked == []
    key = multi.put(encode(1))
    assert decoded(multi.get(key)) == 1
    assert asked == ["zmq://host:1"]
    multi._routes.children[0].connector().clear()
    multi.close()


@pytest.mark.parametrize(
    "uri",
    [
        "multi://",
        "multi://a",
        "multi://a?to1=",
        "multi://a?to1=x",
        "multi://a?to2=local://x",
        "multi://a,a?to1=local://x&to2=local://y",
        "multi://a,?to1=local://x&to2=local://y",
        "multi://A?to1=local://x",
        "multi://a/path?to1=local://x",
        "multi://a?to1=local://x&priority1=soon",
        "multi://a?to1=local://x&max1=-1",
        "multi://a?to1=local://x&max1=" + "9" * 1500,
        "multi://a?to1=local://x&host1=(",
        "multi://a?to1=local://x&host1=" + "(" * 1500,
        "multi://a?to1=local://x&subset1=,",
        "multi://a?to1=local://x&max=5",
        "multi://a?to1=multi://b%3Fto1=local://x",
        "multi://a?to1=redis://user:secret@host",
    ],
)
def test_a_hostile_uri_is_refused(uri):  # C36
    with pytest.raises(ConnectorConfigError) as caught:
        open_connector(uri)
    assert "secret" not in str(caught.value)  # C12
    assert len(str(caught.value)) < 500


def test_a_forked_child_uses_it(multi, decoded, in_child):  # C8
    key = multi.put(encode("before"))
    assert in_child(lambda: decoded(multi.get(key))) == "'before'"
    answer = in_child(lambda: multi.put(encode("in the child")))
    assert decoded(multi.get(answer.strip("'"))) == "in the child"


def test_local_objects_elsewhere_are_a_typed_error():
    multi = open_connector("multi://a?to1=local://name%3Fprocess=1-abcdef")
    for call in (lambda: multi.get("0" * 32 + "@a"), lambda: multi.put(encode(1))):
        with pytest.raises(ChannelUnavailableError, match="never leave their process"):
            call()
    multi.close()
