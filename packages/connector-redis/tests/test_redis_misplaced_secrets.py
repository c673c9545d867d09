"""A password that was written in a wrong place is refused, and not repeated (C12)."""

import pytest
from leakage import SECRET, everything_about, leaks

import psk
from psk.cli import main
from psk.connectors import find_connector, open_connector
from psk.errors import PskError
from psk_connector_redis.connector import RedisConnector


class Provider:
    """Gives the password when it is asked."""

    def __init__(self, secret=SECRET):
        self._secret = secret

    def get_credentials(self):
        return ("default", self._secret)


def place(server):
    return f"{server.host}:{server.port}"


MISPLACED = [
    "redis://:{secret}@{place}",
    "redis://lab:{secret}@{place}/0",
    "redis://lab:{secret}@{place}?cluster=true",
    "redis+unix://:{secret}@/tmp/redis.sock",
    "rediss://lab:{secret}@{place}",
    "valkey://:{secret}@{place}",
    "keydb://lab:{secret}@{place}",
    "redis://{place}?password={secret}",
    "redis://{place}?pass={secret}",
    "redis://{place}?auth=lab:{secret}",
    "redis://{place}?credentials={secret}",
    "redis://{place}?credential_provider={secret}",
    "redis://{place}?PASSWORD={secret}",
    "redis://{place}?{secret}",
    "redis://{place}#{secret}",
    "redis://:p@{secret}@{place}",
    "redis://:p:{secret}@{place}",
    "redis://:p/{secret}@{place}",
    "redis://lab:6/{secret}@{place}",
    "redis://:p?{secret}@{place}",
    "redis://:p#{secret}@{place}",
    "redis://:%{secret}@{place}",
    "redis://:{secret}@[",
    "redis://:{secret}@\n",
    "redis://{place}:{secret}",
    "redis:{secret}@{place}",
    "redis://a,b:{secret}@{place}?sentinel=objects",
    "redis://:{secret}{secret}{secret}{secret}{secret}{secret}{secret}{secret}@" + "h" * 2100,
    "foo://:{secret}@{place}",
    "multi://one?to1=redis%3A%2F%2F%3A{secret}%40{place}",
]


@pytest.mark.parametrize("written", MISPLACED)
def test_a_password_in_a_uri_is_refused_and_not_repeated(locked, log, capsys, tmp_path, written):
    uri = written.format(secret=SECRET, place=place(locked))
    file = tmp_path / "store.toml"
    file.write_text(f'name = "x"\nconnector = {uri!r}\n' if "\n" not in uri else "")
    calls = (
        lambda: open_connector(uri),
        lambda: psk.Store("x", uri),
        lambda: psk.Store.from_uri(uri),
        lambda: RedisConnector(uri),
        lambda: RedisConnector(uri.partition("://")[2]),
        lambda: find_connector("redis").from_config({"scheme": "redis", "authority": uri.partition("://")[2]}),
    )
    for call in calls:
        with pytest.raises(PskError) as caught:
            call()
        # The line of this file that says `uri` is not what is meant by a traceback.
        assert leaks(*everything_about(caught.value)) == []
    commands = [["ls", uri], ["get", uri, "0" * 32], ["bench", uri]]
    if "://" in uri:  # what is no URI is the name of a plug-in
        commands.append(["plugins", "check", uri])
    for command in commands:
        for more in ([], ["--json"]):
            assert main([*command, *more]) not in {0, None}
    said = capsys.readouterr()
    assert leaks(said.out, said.err, log.text) == []


@pytest.mark.parametrize(
    "options",
    [
        {"password": SECRET, "credential_provider": Provider()},
        {"password": SECRET.encode()},
        {"password": [SECRET]},
        {"credential_provider": SECRET},
        {"credential_provider": lambda: SECRET},
        {"credentials": SECRET},
        {"user": f"lab:{SECRET}"},
    ],
)
def test_a_password_in_a_wrong_argument_is_not_repeated(locked, options):
    with pytest.raises(PskError) as caught:
        RedisConnector(locked.host, locked.port, **options)
    assert leaks(*everything_about(caught.value)) == []
