"""Plant links, devices and foreign files in a directory: none leads outside or blocks (C4, C24, C26)."""

import os
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from psk.connectors.directory.expiry import DOUBTED, MARK, RECORD_BYTES
from psk.connectors.directory.writing import DRAFTS
from psk.connectors.file import FileConnector
from psk.errors import ChannelDataError, ChannelUnavailableError, PayloadError
from psk.wire import Payload, encode
from psk_testing.timing import becomes

KEY = "a" * 32


@pytest.fixture
def outside(tmp_path):
    secret = tmp_path / "outside"
    secret.write_bytes(encode("secret", object_id=bytes.fromhex(KEY)).tobytes())
    secret.chmod(0o400)
    return secret


def plant(kind, place, outside):
    if kind == "link":
        place.symlink_to(outside)
    elif kind == "dangling link":
        place.symlink_to(outside.parent / "new")
    elif kind == "fifo":
        os.mkfifo(place)
    elif kind == "directory":
        place.mkdir()
    elif kind == "socket":
        here = os.getcwd()
        os.chdir(place.parent)  # a socket's address is short
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(place.name)
        os.chdir(here)


KINDS = ("link", "dangling link", "fifo", "directory", "socket")


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_planted_under_a_key_is_named_and_left_alone(files, directory, outside, kind):
    place = Path(directory) / KEY
    plant(kind, place, outside)
    before = outside.read_bytes(), outside.stat().st_mtime_ns, sorted(os.listdir(outside.parent))
    payload = encode("mine", object_id=bytes.fromhex(KEY))
    start = time.monotonic()
    for call in (
        lambda: files.get(KEY),
        lambda: files.exists(KEY),
        lambda: files.put(payload),
        lambda: files.renew(KEY, 1),
        lambda: files.take(KEY, "me"),
        lambda: files.get_range(KEY, 0, 10),
    ):
        with pytest.raises(ChannelDataError, match="not an object of psk"):
            call()
    assert list(files.keys()) == []
    assert files.clear() == 0
    assert os.path.lexists(place)  # psk did not write it, so clear leaves it
    assert (outside.read_bytes(), outside.stat().st_mtime_ns, sorted(os.listdir(outside.parent))) == before
    assert time.monotonic() - start < 2
    FileConnector(directory).close()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", [MARK, DOUBTED, KEY + ".claim", DRAFTS])
def test_what_was_planted_under_other_names_is_refused(files, directory, outside, kind, name):
    payload = encode("mine", object_id=bytes.fromhex(KEY))
    files.put(payload)
    place = Path(directory) / name
    plant(kind, place, outside)
    before = outside.read_bytes(), outside.stat().st_mtime_ns, sorted(os.listdir(outside.parent))
    FileConnector(directory).close()
    assert files.get(KEY) is not None
    if name in {MARK, DOUBTED}:
        assert files.get(files.put(encode("brief"), ttl=1)) is not None
        assert files.clear() == 2
        files.put(payload)
    elif name.endswith(".claim"):
        with pytest.raises(ChannelDataError):
            files.take(KEY, "me")
    assert (outside.read_bytes(), outside.stat().st_mtime_ns, sorted(os.listdir(outside.parent))) == before


def test_a_foreign_file_under_a_key_is_not_overwritten(files, directory):  # C16
    place = Path(directory) / KEY
    place.write_bytes(b"the user's own file")
    with pytest.raises(ChannelDataError):
        files.put(encode("mine", object_id=bytes.fromhex(KEY)))
    with pytest.raises(PayloadError):
        Payload.parse(files.get(KEY))
    assert files.clear() == 0  # C56
    assert place.read_bytes() == b"the user's own file"


def test_a_users_file_that_ends_like_an_expired_object_stays(files, directory):  # C56
    brief = files.put(encode("a ttl was used here"), ttl=1)
    record = (Path(directory) / brief).read_bytes()[-RECORD_BYTES:]
    assert becomes(lambda: not files.exists(brief), within=20)
    content = b"the user's own file, named by its MD5".ljust(64) + record
    place = Path(directory) / KEY
    place.write_bytes(content)
    FileConnector(directory).close()
    assert bytes(files.get(KEY).buffers[0]) == content  # no payload, which others find out
    with pytest.raises(ChannelDataError, match="not one whole payload"):
        files.renew(KEY, 1000)
    assert files.clear() <= 1
    assert place.read_bytes() == content


def test_a_file_of_another_user_is_refused(files, directory):
    if os.geteuid():
        pytest.skip("only root can give files away")
    place = Path(directory) / KEY
    place.write_bytes(encode("forged", object_id=bytes.fromhex(KEY)).tobytes())
    os.chown(place, 4242, 4242)
    place.chmod(0o444)
    with pytest.raises(ChannelDataError, match="a file of user 4242"):
        files.get(KEY)


@pytest.mark.parametrize("mode", [0o777, 0o1777])
def test_a_directory_that_anybody_may_write_is_refused(tmp_path, mode):
    place = tmp_path / "open"
    place.mkdir()
    place.chmod(mode)
    with pytest.raises(ChannelUnavailableError, match="every user may write") as caught:
        FileConnector(place)
    assert f"{place}/psk" in caught.value.remedy


@pytest.mark.parametrize("path", ["file", "file/below", "loop", "/proc/psk", "/dev/null/psk"])
def test_a_path_that_can_be_no_directory(tmp_path, path):
    (tmp_path / "file").write_text("")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(ChannelUnavailableError, match="cannot open the directory"):
        FileConnector(tmp_path / path)


def test_a_claimed_size_allocates_nothing(files, directory):  # C26
    payload = bytearray(encode(b"x" * 100, object_id=bytes.fromhex(KEY)).tobytes())
    payload[24:32] = (1 << 50).to_bytes(8, "little")
    (Path(directory) / KEY).write_bytes(payload)
    with pytest.raises(PayloadError):
        Payload.parse(files.get(KEY, size=1 << 60))


def test_system_calls_never_name_anything_outside(files, directory):  # C4
    seen, watched = [], None

    def watch(event, arguments):
        if event in {"open", "os.link", "os.remove", "os.rename", "os.mkdir"} and threading.get_ident() == watched:
            seen.append((event, arguments[0]))

    def use():
        key = files.put(encode(1), ttl=1000)
        files.get(key)
        files.take(key, "me", lease=100)
        files.renew(key, None)
        list(files.keys())
        files.evict(key)
        files.clear()

    use()  # imports what it needs
    sys.addaudithook(watch)
    try:
        watched = threading.get_ident()
        use()
    finally:
        watched = None
    names = {name for _, name in seen if not str(name).startswith(("/proc/self/fd/", "/proc/self/mountinfo"))}
    assert names
    assert not [name for name in names if "/" in str(name)]


def test_a_sweep_removes_only_files_of_psk(tmp_path):
    os.mkdir(tmp_path / ".drafts", 0o700)
    (tmp_path / ".sweep").touch()
    os.symlink("/nowhere", tmp_path / f"{'a' * 32}.claim")
    os.mkfifo(tmp_path / f"{'b' * 32}.claim")
    os.mkfifo(tmp_path / ".drafts" / ("0" * 24))
    before = {*os.listdir(tmp_path), *os.listdir(tmp_path / ".drafts")}
    with FileConnector(tmp_path) as connector:
        connector.clear()
    assert {*os.listdir(tmp_path), *os.listdir(tmp_path / ".drafts")} == before - {".sweep"}
