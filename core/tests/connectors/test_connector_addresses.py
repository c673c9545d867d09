"""Read and write URIs, options and schemes without loss, and refuse everything else with a message."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import psk
from psk.connectors import find_connector, format_uri, open_connector, parse_uri
from psk.connectors.catalog import BUILT_IN
from psk.errors import (
    ChannelUnavailableError,
    ConnectorConfigError,
    PskError,
    UnknownConnectorError,
)
from psk.plugins import installed
from psk.plugins.builtin import FIRST_PARTY

TEXT = st.text(st.characters(min_codepoint=32, exclude_characters="\x7f", exclude_categories=("Cs",)), max_size=60)
PATHS = TEXT.map(lambda text: "/" + text).filter(lambda path: not {".", ".."} & set(path.split("/")))


@pytest.mark.parametrize(
    ("uri", "config"),
    [
        ("file:///scratch/psk", {"scheme": "file", "path": "/scratch/psk"}),
        ("file:///a%20b?durability=disk", {"scheme": "file", "path": "/a b", "durability": "disk"}),
        ("redis://host:6379/3?tls=true", {"scheme": "redis", "authority": "host:6379", "path": "/3", "tls": "true"}),
        ("local://name", {"scheme": "local", "authority": "name"}),
        ("zmq+tcp://[::1]:5", {"scheme": "zmq+tcp", "authority": "[::1]:5"}),
        ("margo://user@node", {"scheme": "margo", "authority": "user@node"}),
    ],
)
def test_a_uri_is_a_configuration(uri, config):
    assert parse_uri(uri) == config
    assert parse_uri(format_uri(config)) == config


def test_equal_configurations_have_equal_uris():
    one = {"scheme": "x", "b": 2, "a": True, "none": None, "f": 1.5}
    assert format_uri(one) == format_uri(dict(reversed(one.items()))) == "x://?a=true&b=2&f=1.5"
    assert format_uri(parse_uri("FILE:///x?b=1&a=%32")) == "file:///x?a=2&b=1"


@given(
    TEXT.filter(lambda text: ":" not in text),
    PATHS,
    st.dictionaries(st.from_regex(r"[a-r][a-z0-9_]{0,8}", fullmatch=True), TEXT),
)
def test_every_text_travels(authority, path, options):
    config = {"scheme": "any", "authority": authority, "path": path, **options}
    config = {name: value for name, value in config.items() if name not in {"authority", "path"} or value}
    try:
        uri = format_uri(config)
    except ConnectorConfigError as error:
        assert "characters" in str(error)  # noqa: PT017  too long is the only excuse
        return
    assert uri.isascii()
    assert parse_uri(uri) == config


def test_a_path_that_is_not_utf8_travels():
    config = {"scheme": "file", "path": b"/caf\xe9".decode("utf-8", "surrogateescape")}
    assert parse_uri(format_uri(config)) == config


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "file",
        "file:/x",
        "://x",
        "1file:///x",
        "file:///x#fragment",
        "file:///a/../b",
        "file:///a/%2e%2e/b",
        "file:///a/./b",
        "file:///%00",
        "file:///%0a",
        "file:///\n",
        "file:///%zz",
        "file:///%",
        "file:///é",
        "file:///a b",
        "file:///x?",
        "file:///x?a",
        "file:///x?a=1&a=2",
        "file:///x?A=1",
        "file:///x?path=/y",
        "file:///x?scheme=y",
        "file:///x?a=1&",
        "file:///x?=1",
        "redis://user:secret@host",
        "redis://user:secret#@host",
        'redis://user:secret"@host',
        "redis://user:secret%01@host",
        "redis:user:secret@host",
        "redis://host?Password=secret",
        "redis://host?secret",
        'redis://host?password=secret"',
        "redis://host#?password=secret",
        "file:///" + "x" * 2048,
        None,
        b"file:///x",
        7,
    ],
)
def test_a_hostile_uri_is_refused(uri):
    if uri == "file:///x?":
        assert parse_uri(uri) == {"scheme": "file", "path": "/x"}
        return
    with pytest.raises(ConnectorConfigError) as caught:
        parse_uri(uri)
    assert len(str(caught.value)) < 400
    assert "secret" not in str(caught.value)  # C12


@given(st.text(max_size=80) | st.from_regex(r"[a-z]{1,5}://[!-~]{0,60}", fullmatch=True))
def test_any_text_is_a_configuration_or_a_typed_error(uri):
    try:
        config = parse_uri(uri)
    except ConnectorConfigError:
        return
    assert parse_uri(format_uri(config)) == config


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"scheme": "Upper"},
        {"scheme": None},
        {"scheme": "x", "path": "relative"},
        {"scheme": "x", "path": "/a/../b"},
        {"scheme": "x", "authority": "user:secret@host"},
        {"scheme": "x", "option": ["list"]},
        {"scheme": "x", "Option": "1"},
        {"scheme": "x", "option": "line\nbreak"},
        {"scheme": "x", "option": "x" * 3000},
    ],
)
def test_what_cannot_be_written_is_refused(config):
    with pytest.raises(ConnectorConfigError) as caught:
        format_uri(config)
    assert "secret" not in str(caught.value)  # C12


def test_an_unknown_scheme_says_that_a_distribution_is_missing():
    with pytest.raises(UnknownConnectorError) as caught:
        find_connector("s3")
    schemes = {*BUILT_IN, *(plugin.name for plugin in installed() if plugin.kind == "connector")}
    assert str(caught.value) == (
        "no connector for 's3' is installed here; install the distribution that provides it (`psk plugins list` names "
        f"it where the scheme works), or correct the scheme (found: {', '.join(sorted(schemes))})"
    )


def test_only_distributions_that_exist_are_recommended():
    provided = {}
    for project in (Path(__file__).parents[3] / "packages").glob("*/pyproject.toml"):
        described = tomllib.loads(project.read_text())["project"]
        for entry_point in described.get("entry-points", {}).get("psk", {}):
            kind, _, scheme = entry_point.partition(".")
            if kind == "connector":
                provided[scheme] = described["name"]
    assert provided == FIRST_PARTY


def test_a_scheme_of_an_own_distribution_says_what_to_install():
    program = f"""
import sys
sys.path.insert(0, {str(Path(psk.__file__).parents[1])!r})
from psk import find_connector
for scheme in ("redis", "valkeys", "keydb+unix"):
    try:
        find_connector(scheme)
    except LookupError as error:
        print(error)
"""
    # Without site there are no other distributions.
    done = subprocess.run([sys.executable, "-S", "-c", program], capture_output=True, text=True, check=True)
    remedy = "pip install psk-connector-redis (found: file, local, multi, shm)"
    assert done.stdout.splitlines() == [
        f"no connector for {scheme!r} is installed here; {remedy}" for scheme in ("redis", "valkeys", "keydb+unix")
    ]


@pytest.mark.parametrize("scheme", ["os", "psk.errors", "evil", "x" * 500, None, ("file",)])
def test_nothing_is_recommended_or_imported_by_a_foreign_name(scheme):
    with pytest.raises(UnknownConnectorError) as caught:
        find_connector(scheme)
    assert "pip install" not in str(caught.value)
    assert len(str(caught.value)) < 300


def test_an_unhashable_scheme_is_unknown():
    with pytest.raises(UnknownConnectorError):
        find_connector(["file"])


@pytest.mark.parametrize(
    "uri",
    [
        "file://",
        "file://host/scratch",
        "file:///x?durability=",
        "file:///x?timeout=soon",
        "file:///x?timeout=-1",
        "file:///x?timeout=inf",
        "local://bad%20name",
        "local://x/path",
    ],
)
def test_a_senseless_option_is_refused(uri):  # C36
    with pytest.raises(ConnectorConfigError) as caught:
        open_connector(uri)
    assert caught.value.remedy or caught.value.found


def test_localhost_is_no_host(tmp_path):
    connector = open_connector(f"file://localhost{tmp_path}/objects")
    assert connector.config() == {"scheme": "file", "path": f"{tmp_path}/objects"}
    connector.close()


def test_a_configuration_for_another_scheme_is_refused():
    with pytest.raises(ConnectorConfigError, match="given to the connector for 'local'"):
        find_connector("local").from_config({"scheme": "file", "path": "/x"})


def test_a_relative_path_means_the_current_directory(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    connector = find_connector("file")("here/../there")
    assert connector.config()["path"] == f"{tmp_path}/there"
    connector.close()


@pytest.mark.parametrize("path", ["", "a\0b", "a\nb", None, 7])
def test_a_senseless_path_is_refused(path):
    with pytest.raises(ConnectorConfigError):
        find_connector("file")(path)


def test_local_objects_never_leave_their_process():
    with pytest.raises(ChannelUnavailableError, match="never leave their process"):
        open_connector("local://name?process=1-abcdef")
    assert issubclass(ChannelUnavailableError, PskError)
