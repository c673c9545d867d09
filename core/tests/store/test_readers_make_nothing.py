"""Reading creates no directory and no session."""

import os
import pickle
import subprocess
import sys

import pytest

from psk import Store
from psk.connectors import SupportsWait, join_connector, open_connector
from psk.connectors.shm.liveness import ROOT
from psk.errors import ChannelUnavailableError, ConnectorConfigError, ProxyResolveError
from psk.store.factory import StoreFactory
from psk.store.registry import close_opened_stores
from psk.wire import Reference

OBJECT = "0" * 32


@pytest.fixture(autouse=True)
def _closed():
    yield
    close_opened_stores()


def sessions():
    return {name for name in os.listdir(ROOT) if name.startswith("psk-")}


@pytest.fixture(params=["file", "shm", "multi"])
def nowhere(request, tmp_path):
    """The URI of a channel that nobody ever opened."""
    file, shm = f"file://{tmp_path}/never/made", f"shm://never-{os.urandom(4).hex()}"
    return {"file": file, "shm": shm, "multi": f"multi://one,two?to1={file}&to2={shm}"}[request.param]


def test_a_proxy_of_a_place_that_is_not_there_makes_none(nowhere, tmp_path):
    before = sessions()
    stranger = StoreFactory(Reference(nowhere, OBJECT))
    with pytest.raises(ProxyResolveError) as caught:
        stranger.resolve()
    assert isinstance(caught.value.__cause__, ChannelUnavailableError)
    assert "here" in str(caught.value)
    assert "expired" not in str(caught.value)
    assert os.listdir(tmp_path) == []
    assert sessions() == before


def test_a_place_that_goes_at_this_instant_is_not_made_again(nowhere, tmp_path, monkeypatch):
    before = sessions()
    # It was there when the reader looked.
    monkeypatch.setattr("psk.connectors.shm.connector.check_joinable", lambda *_: None)
    with pytest.raises(ChannelUnavailableError):
        join_connector(nowhere).get(OBJECT)
    assert os.listdir(tmp_path) == []
    assert sessions() == before


def test_joining_finds_what_others_made_later(nowhere, tmp_path):
    with pytest.raises(ChannelUnavailableError):
        join_connector(nowhere).get(OBJECT)
    with Store.from_uri(nowhere) as store:
        proxy = pickle.dumps(store.proxy([1, 2]))
        with Store.join(nowhere) as joined:
            assert joined.get(store.put("there")) == "there"
            assert joined.uri == store.uri
        assert pickle.loads(proxy) == [1, 2]
        close_opened_stores()
        store.clear()


def test_a_space_that_was_never_made_is_not_made_in_a_session_that_lives():
    own = open_connector("shm://")
    session, space = own.config()["authority"], own._channel.space
    with pytest.raises(ChannelUnavailableError, match="was closed, and held no object"):
        join_connector(f"shm://{session}/neverspace")
    assert os.listdir(os.path.dirname(space.path)).count("neverspace") == 0
    join_connector(f"shm://{session}/{space.name}").close()
    own.close()


def test_a_user_makes_the_place_by_opening_it(tmp_path):
    uri = f"file://{tmp_path}/new"
    with Store.from_uri(uri) as store:
        assert os.path.isdir(tmp_path / "new")
        assert store.get(OBJECT, default=None) is None
    assert os.listdir(tmp_path / "new") == []
    assert isinstance(join_connector(uri), SupportsWait)


def test_an_ended_session_sends_nobody_round_in_a_circle():
    name = f"gone-{os.urandom(4).hex()}"
    with Store.from_uri(f"shm://{name}") as store:
        reference = Reference(store.uri, store.put(1))
        store.clear()
    with pytest.raises(ProxyResolveError, match=r"no session shm://gone.*keep the process running") as caught:
        StoreFactory(reference).resolve()
    assert "use a session with a name" not in str(caught.value)
    assert "file://" in str(caught.value)


def test_a_proxy_of_a_killed_process_makes_its_session_no_more():
    pipe = subprocess.PIPE
    name = f"killed-{os.urandom(4).hex()}"
    code = "import sys, psk; s = psk.Store.from_uri(sys.argv[1]); print(s.put(1), flush=True); sys.stdin.read()"
    with subprocess.Popen([sys.executable, "-c", code, f"shm://{name}"], stdin=pipe, stdout=pipe, text=True) as owner:
        key = owner.stdout.readline().strip()
        owner.kill()
    with pytest.raises(ProxyResolveError, match="no session") as caught:
        StoreFactory(Reference(f"shm://{name}", key)).resolve()
    assert isinstance(caught.value.__cause__, ChannelUnavailableError)
    assert [session for session in sessions() if name in session] == []


def test_a_host_in_the_uri_of_a_directory_is_named_before_the_directory():
    with pytest.raises(ConnectorConfigError, match="host"):
        join_connector("file://host/never/made")
