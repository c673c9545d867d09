"""A password that a process was given, in whichever way, appears nowhere that it must not (C12)."""

import logging
import os
import pickle
import subprocess
import sys
from contextlib import closing, suppress

import pytest
from clusters import Cluster, Sentinels
from leakage import SECRET, WRONG, command_lines, everything_about, everything_of, leaks
from servers import RedisServer

import psk
from psk.connectors import open_connector
from psk.errors import PskError
from psk.wire import encode
from psk_connector_redis.connector import RedisConnector


class Provider:
    """Gives the password when it is asked."""

    def __init__(self, secret=SECRET):
        self._secret = secret

    def get_credentials(self):
        return ("default", self._secret)


class FaultyProvider:
    """Says the password when it fails."""

    def get_credentials(self):
        raise RuntimeError(f"the vault does not open with {SECRET}")


WAYS = {
    "environment": {"PSK_REDIS_PASSWORD": SECRET},
    "label": {"PSK_REDIS_PASSWORD_LAB": SECRET},
    "file": {"PSK_REDIS_PASSWORD_FILE": SECRET},
    "file of a label": {"PSK_REDIS_PASSWORD_FILE_LAB": SECRET},
}


@pytest.fixture
def plant(monkeypatch, tmp_path):
    """Put a password where one of the ways looks for it."""

    def plant(way, secret=SECRET):
        for name in WAYS[way]:
            value = secret
            if "FILE" in name:
                value = tmp_path / "password"
                value.write_text(secret)
                value.chmod(0o600)
            monkeypatch.setenv(name, str(value))
        return "credentials=lab" if "label" in way else ""

    return plant


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("user", ["", "lab@"])
def test_a_password_from_outside_stays_there(locked, plant, log, way, user):
    uri = locked.uri.replace("//", f"//{user}") + f"?prefix=outside&{plant(way)}".rstrip("&")
    with closing(open_connector(uri)) as connector:
        assert leaks(*everything_of(connector), *command_lines(), log.text) == []


@pytest.mark.parametrize("options", [{"password": SECRET}, {"credential_provider": Provider()}])
@pytest.mark.parametrize("kind", ["tcp", "socket"])
def test_a_password_given_by_hand_stays_there(locked, log, prefix, options, kind):
    where = (locked.socket_path,) if kind == "socket" else (locked.host, locked.port)
    with closing(RedisConnector(*where, prefix=prefix, **options)) as connector:
        assert leaks(*everything_of(connector), *command_lines(), log.text) == []
        again = pickle.dumps(connector)
    # Elsewhere it is not let in, and says so without it.
    with pytest.raises(PskError) as caught:
        pickle.loads(again)
    assert leaks(*everything_about(caught.value), log.text) == []


def test_clusters_and_sentinels_and_tls_keep_it_too(tmp_path, certificates, monkeypatch, log):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", SECRET)
    monkeypatch.setenv("PSK_REDIS_SENTINEL_PASSWORD", SECRET)
    groups = (
        RedisServer(tmp_path / "tls", password=SECRET, tls=certificates),
        Cluster(tmp_path / "cluster", password=SECRET),
        Sentinels(tmp_path / "sentinels", password=SECRET, sentinel_password=SECRET),
    )
    for group in groups:
        with group, closing(open_connector(group.uri)) as connector:
            assert leaks(*everything_of(connector), *command_lines(), log.text) == []


@pytest.mark.parametrize("way", WAYS)
def test_a_wrong_password_is_not_repeated(locked, plant, log, way):
    more = plant(way, WRONG)
    for user in ("", "lab@", "nobody@"):
        with pytest.raises(PskError, match="not let this user in") as caught:
            open_connector(f"{locked.uri.replace('//', f'//{user}')}?{more}".rstrip("?"))
        assert leaks(*everything_about(caught.value), log.text) == []


def test_a_user_without_rights_is_refused_without_it(locked, monkeypatch, log):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", SECRET)
    uri = locked.uri.replace("//", "//poor@")
    with suppress(PskError), closing(open_connector(uri)) as connector:
        for call in (lambda: connector.put(encode(1)), connector.clear, lambda: connector.evict("0" * 32)):
            with pytest.raises(PskError) as caught:
                call()
            assert leaks(*everything_about(caught.value)) == []
    with pytest.raises(PskError) as caught:
        open_connector(f"{uri}?durability=host")
    assert leaks(*everything_about(caught.value), log.text) == []


def test_a_provider_that_fails_is_not_quoted(locked, log):
    with pytest.raises(PskError) as caught:
        RedisConnector(locked.host, locked.port, credential_provider=FaultyProvider())
    assert leaks(*everything_about(caught.value), log.text) == []


def test_another_process_is_told_by_its_environment_alone(locked, prefix, monkeypatch, log, tmp_path):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", SECRET)
    program = tmp_path / "program.py"
    program.write_text(
        "import os, pickle, sys\n"
        "proxy = pickle.load(open(sys.argv[1], 'rb'))\n"
        "print(proxy, open('/proc/self/cmdline').read(), sep='\\n')\n"
    )
    with psk.Store("travelling", f"{locked.uri}?prefix={prefix}") as store:
        (tmp_path / "proxy").write_bytes(pickle.dumps(store.proxy("arrived")))
        for environment, is_told in ((os.environ, True), ({**os.environ, "PSK_REDIS_PASSWORD": WRONG}, False)):
            command = [sys.executable, str(program), str(tmp_path / "proxy")]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert ("arrived" in done.stdout) is is_told, done.stderr
            assert leaks(done.stdout, done.stderr, (tmp_path / "proxy").read_bytes(), log.text) == []
        store.connector.clear()


@pytest.mark.parametrize("place_of_leak", ["repr", "pickle", "message", "cause", "note", "log"])
def test_the_check_sees_what_it_looks_for(locked, monkeypatch, log, prefix, place_of_leak):
    connector = RedisConnector(locked.host, locked.port, password=SECRET, prefix=prefix)
    if place_of_leak == "repr":
        monkeypatch.setattr(type(connector), "__repr__", lambda _: f"RedisConnector(password={SECRET})")
        assert leaks(*everything_of(connector)) != []
    elif place_of_leak == "pickle":
        monkeypatch.setattr(type(connector), "__reduce__", lambda _: (str, (SECRET,)))
        assert leaks(*everything_of(connector)) != []
    elif place_of_leak == "log":
        logging.getLogger("redis").debug("AUTH %s", SECRET)
        assert leaks(log.text) != []
    else:
        error = PskError(SECRET if place_of_leak == "message" else "no")
        if place_of_leak == "cause":
            error.__cause__ = ValueError(SECRET)
        elif place_of_leak == "note":
            error.add_note(SECRET)
        assert leaks(*everything_about(error)) != []
    connector.close()
