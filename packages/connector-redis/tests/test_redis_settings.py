"""A URI has one canonical spelling, and an invalid one is refused."""

import pickle
from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from psk.connectors import format_uri, parse_uri
from psk.connectors.toolkit import Address
from psk.errors import ConnectorConfigError, PskError
from psk_connector_redis.settings import READERS, SCHEMES, SOCKET_SCHEMES, TLS_SCHEMES, Settings, with_port


def read(uri):
    return Settings.read(parse_uri(uri))


@pytest.mark.parametrize(
    ("uri", "canonical"),
    [
        ("redis://", "redis://localhost"),
        ("redis://localhost:6379/0?prefix=psk&timeout=600&retries=5", "redis://localhost"),
        ("redis://HOST", "redis://host"),
        ("redis://10.0.0.1:6379/3", "redis://10.0.0.1/3"),
        ("redis://10.0.0.1:7000?db=3", "redis://10.0.0.1:7000/3"),
        ("redis://10.0.0.1/", "redis://10.0.0.1"),
        ("redis://lab@10.0.0.1?credentials=lab", "redis://lab@10.0.0.1?credentials=lab"),
        ("redis://[::1]:7000", "redis://%5B::1%5D:7000"),
        ("redis://[::1]:6379", "redis://%5B::1%5D"),
        ("redis://a,b:7000,c?cluster=true", "redis://a,b:7000,c?cluster=true"),
        ("redis://a:26379,b:7000?sentinel=objects", "redis://a,b:7000?sentinel=objects"),
        (
            "rediss://host?cert=/c.pem&ca=/a.pem&verify_host=false",
            "rediss://host?ca=/a.pem&cert=/c.pem&verify_host=false",
        ),
        ("valkeys://host?verify_host=true", "valkeys://host"),
        ("redis+unix:///run/redis.sock?db=0", "redis+unix:///run/redis.sock"),
        ("valkey+unix://lab@/run/valkey.sock?db=2", "valkey+unix://lab@/run/valkey.sock?db=2"),
        ("keydb://host?timeout=2.0&connect_timeout=1", "keydb://host?connect_timeout=1.0&timeout=2.0"),
    ],
)
def test_a_uri_has_one_canonical_spelling(uri, canonical):
    settings = read(uri)
    assert format_uri(settings.config()) == canonical
    assert read(canonical) == settings


@pytest.mark.parametrize(
    ("hosts", "port", "authority"),
    [
        ("a", None, "a"),
        ("a,b", 7000, "a:7000,b:7000"),
        ("a:1,b,[::1],[::1]:2", 7000, "a:1,b:7000,[::1]:7000,[::1]:2"),
        ("h:1", 7000, "h:1"),
        ("::1", 6379, "[::1]:6379"),
        ("::1", None, "[::1]"),
        ("lab@fe80::1,a", 1, "lab@[fe80::1]:1,a:1"),
        ("one:two:three", 1, "one:two:three"),
        ("127.0.0.1:6379:hunter2", None, "127.0.0.1:6379:hunter2"),
        ("", 7000, ":7000"),
    ],
)
def test_a_port_is_for_the_hosts_that_name_none(hosts, port, authority):
    assert with_port(hosts, port) == authority


def test_what_the_parts_of_a_uri_mean():
    settings = read("rediss://lab@One:7000/5?prefix=p&durability=disk&credentials=x&timeout=2&connect_timeout=1.5")
    assert (settings.user, settings.addresses, settings.db) == ("lab", (Address("one", 7000),), 5)
    assert (settings.prefix, settings.durability, settings.credentials) == ("p", "disk", "x")
    assert (settings.timeout, settings.connect_timeout, settings.is_tls) == (2.0, 1.5, True)
    assert read("redis+unix:///s.sock").addresses == (Address("/s.sock", 0),)
    assert read("redis://a,b:1?sentinel=m").addresses == (Address("a", 26379), Address("b", 1))
    assert read("redis://a,b:1?cluster=true").addresses == (Address("a", 6379), Address("b", 1))


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("redis://a,b", "cluster=true or sentinel=NAME"),
        ("redis://a/1?db=2", "two databases"),
        ("redis://a/x", "not the number of a database"),
        ("redis://a/1?cluster=true", "one database"),
        ("redis://a?cluster=true&sentinel=x", "no sentinels"),
        ("redis+unix://host/path", "path of a socket"),
        ("redis+unix://", "path of a socket"),
        ("redis+unix:///" + "s" * 107, "more than 107 bytes"),
        ("redis+unix:///s?cluster=true", "leads to one server"),
        ("redis://a?ca=/x", "for connections with TLS"),
        ("rediss://a?key=/x", "without cert="),
        ("rediss://a?ca=x", "absolute path"),
        ("redis://a?prefix=a%7Bb", "braces"),
        ("redis://a?prefix=", "printable"),
        ("redis://a?durability=forever", "one of volatile, host, disk, replicated"),
        ("redis://a?connections=0", "1 or more"),
        ("redis://a?retries=-1", "0 or more"),
        ("redis://a?timeout=inf", "positive number"),
        ("redis://a?speed=1", "has no option 'speed'"),
        ("redis://a:0", "cannot be read"),
        ("redis://a:70000", "cannot be read"),
        ("redis://a,a?cluster=true", "each once"),
        ("redis://a,,b?cluster=true", "cannot be read"),
        ("redis://a b", "percent-encoded"),
    ],
)
def test_what_makes_no_sense_is_refused_with_a_remedy(uri, words):
    with pytest.raises(ConnectorConfigError, match=words) as caught:
        read(uri)
    assert caught.value.remedy


@pytest.mark.parametrize(
    "config",
    [
        {"authority": "user:hunter2@host"},
        {"authority": ":hunter2@host"},
        {"authority": "hunter2 @host"},
        {"authority": "host", "password": "hunter2"},
        {"authority": "host", "credentials": "hunter2!"},
        {"authority": "host", "username": "hunter2"},
    ],
)
def test_a_password_in_a_configuration_is_refused_and_not_repeated(config):
    with pytest.raises(ConnectorConfigError) as caught:
        Settings.read({"scheme": "redis", **config})
    assert "hunter2" not in str(caught.value)


def test_a_configuration_for_another_connector_is_refused():
    with pytest.raises(ConnectorConfigError, match="not a scheme of the Redis connector"):
        Settings.read({"scheme": "file", "path": "/x"})


def test_settings_are_immutable_and_travel():
    settings = read("redis://a?prefix=b")
    with pytest.raises(AttributeError):
        settings.prefix = "c"
    assert pickle.loads(pickle.dumps(settings)) == settings


def test_each_option_has_an_attribute_and_a_reader():
    names = {field.name for field in fields(Settings)}
    assert names - {"scheme", "user", "addresses"} == set(READERS) - {"authority", "path"}


_hosts = st.from_regex(r"[a-z][a-z0-9.-]{0,20}", fullmatch=True) | st.just("::1")
_configs = st.fixed_dictionaries(
    {"scheme": st.sampled_from(sorted(set(SCHEMES) - set(SOCKET_SCHEMES)))},
    optional={
        "user": st.from_regex(r"[!-9;-~]{1,10}", fullmatch=True),
        "addresses": st.lists(st.builds(Address, _hosts, st.integers(1, 65535)), min_size=1, max_size=1).map(tuple),
        "db": st.integers(0, 99),
        "prefix": st.from_regex(r"[!-z|~]{1,64}", fullmatch=True),
        "durability": st.sampled_from(["volatile", "host", "disk", "replicated"]),
        "timeout": st.floats(0.001, 1e6),
        "connections": st.integers(1, 1000),
        "retries": st.integers(0, 1000),
        "credentials": st.from_regex(r"[A-Za-z0-9_]{1,32}", fullmatch=True),
    },
)


@given(_configs)
def test_any_settings_survive_the_way_through_a_uri(options):
    settings = Settings(**options)
    assert read(format_uri(settings.config())) == settings
    assert Settings.read(settings.config()) == settings


@given(st.sampled_from(SCHEMES), st.text(max_size=60))
def test_any_text_is_read_or_a_typed_error(scheme, rest):
    try:
        settings = read(f"{scheme}://{rest}")
    except PskError:
        return
    assert settings.is_tls == (scheme in TLS_SCHEMES)
