"""A process finds its password where it should, in the right order, and is then let in."""

import pytest
from servers import RedisServer

from psk.errors import ChannelUnavailableError, ConnectorConfigError
from psk_connector_redis.credentials import SENTINEL_VARIABLE, Credentials
from psk_connector_redis.settings import Settings

PASSWORD = "correct-horse"


class Provider:
    """Gives what it was made with, or raises it."""

    def __init__(self, given):
        self.given = given
        self.calls = 0

    def get_credentials(self):
        self.calls += 1
        if isinstance(self.given, Exception):
            raise self.given
        return self.given


@pytest.fixture(scope="module")
def locked_server(tmp_path_factory):
    """A server with a password, and with a user of another password that sees the names of psk alone."""
    rules = "user lab on >battery-staple ~psk* &psk* +@all -@dangerous +info +config|get"
    with RedisServer(tmp_path_factory.mktemp("locked"), password=PASSWORD, lines=[rules]) as server:
        yield server


@pytest.fixture
def private_file(tmp_path):
    """Write a password into a file that nobody else can read."""

    def write(text, mode=0o600):
        path = tmp_path / "password"
        path.write_text(text)
        path.chmod(mode)
        return str(path)

    return write


def found(settings=None, **options):
    options.setdefault("user", None)
    return Credentials(settings or Settings(), **options).get_credentials()


def test_the_sources_are_asked_in_order(monkeypatch, private_file):
    assert found() == ("",)
    monkeypatch.setenv("PSK_REDIS_PASSWORD_FILE", private_file("from a file\n"))
    assert found() == ("from a file",)
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "from the environment")
    assert found() == ("from the environment",)
    assert found(password="given") == ("given",)
    assert found(provider=Provider(("user", "provided"))) == ("user", "provided")
    assert found(user="lab") == ("lab", "from the environment")


def test_a_label_chooses_one_of_several_passwords(monkeypatch, private_file):
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "another")
    settings = Settings(credentials="lab")
    assert found(settings) == ("",)
    monkeypatch.setenv("PSK_REDIS_PASSWORD_FILE_LAB", private_file("from the file of the lab"))
    assert found(settings) == ("from the file of the lab",)
    monkeypatch.setenv("PSK_REDIS_PASSWORD_LAB", "of the lab")
    assert found(settings) == ("of the lab",)
    monkeypatch.setenv("PSK_REDIS_SENTINEL_PASSWORD_LAB", "of its sentinels")
    assert found(settings, variable=SENTINEL_VARIABLE) == ("of its sentinels",)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_file_that_others_can_read_is_refused(monkeypatch, private_file, mode):
    monkeypatch.setenv("PSK_REDIS_PASSWORD_FILE", private_file("hunter2", mode))
    with pytest.raises(ChannelUnavailableError, match=r"is not private; .*chmod 600") as caught:
        found()
    assert "hunter2" not in str(caught.value)


def test_a_file_that_is_missing_or_none_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("PSK_REDIS_PASSWORD_FILE", str(tmp_path / "missing"))
    with pytest.raises(ChannelUnavailableError, match="does not exist"):
        found()
    monkeypatch.setenv("PSK_REDIS_PASSWORD_FILE", str(tmp_path))
    with pytest.raises(ChannelUnavailableError):
        found()


def test_what_a_failing_provider_says_is_not_repeated():
    with pytest.raises(ChannelUnavailableError, match="failed with ValueError") as caught:
        found(provider=Provider(ValueError("hunter2")))
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "options",
    [{"password": "a", "provider": Provider(("a",))}, {"password": b"a"}, {"provider": "hunter2"}],
)
def test_senseless_credentials_are_refused(options):
    with pytest.raises(ConnectorConfigError) as caught:
        Credentials(Settings(), user=None, **options)
    assert "hunter2" not in str(caught.value)


def test_credentials_show_nothing_of_themselves():
    assert "hunter2" not in repr(Credentials(Settings(), user=None, password="hunter2"))


def test_the_environment_lets_in(locked_server, new_server, monkeypatch):
    with pytest.raises(ChannelUnavailableError, match="does not let this user in") as caught:
        new_server(locked_server.uri)
    assert "PSK_REDIS_PASSWORD" in caught.value.remedy
    monkeypatch.setenv("PSK_REDIS_PASSWORD", PASSWORD)
    new_server(locked_server.uri)
    monkeypatch.setenv("PSK_REDIS_PASSWORD", "hunter2")
    with pytest.raises(ChannelUnavailableError, match="WRONGPASS") as caught:
        new_server(locked_server.uri)
    assert "hunter2" not in str(caught.value)


def test_a_user_of_the_access_list_is_let_in(locked_server, new_server):
    uri = locked_server.uri.replace("://", "://lab@")
    new_server(uri, password="battery-staple")
    new_server(uri, credential_provider=Provider(("lab", "battery-staple")))
    with pytest.raises(ChannelUnavailableError, match="WRONGPASS"):
        new_server(uri, password=PASSWORD)


def test_a_provider_is_asked_again_at_each_connection(locked_server, new_server):
    provider = Provider((PASSWORD,))
    server = new_server(locked_server.uri, credential_provider=provider)
    before = provider.calls
    server.connect(None, 1e12).close()
    assert provider.calls > before


def test_a_password_for_a_server_without_one_is_an_error_that_says_so(redis_server, new_server):
    with pytest.raises(ChannelUnavailableError, match="unset them for a server without passwords") as caught:
        new_server(redis_server.uri, password="hunter2")
    assert "hunter2" not in str(caught.value)
