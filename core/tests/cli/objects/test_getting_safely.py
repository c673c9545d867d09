"""`psk get` executes nothing, protects the terminal, and writes files whole and private."""

import os
import pickle
import pty
import subprocess

import pytest

from psk import Store
from psk.cli.output import Exit


class Planted:
    """Leaves a mark when it is unpickled."""

    def __init__(self, mark):
        self.mark = str(mark)

    def __reduce__(self):
        return os.mkdir, (self.mark,)


def test_nothing_is_decoded_unless_asked(psk, uri, tmp_path):
    with Store.from_uri(uri) as store:
        key = store.put(Planted(tmp_path / "mark"))
    for words in (["get"], ["get", "--payload"], ["get", "--json"]):
        assert psk(*words, uri, key, "-o", tmp_path / "copy").code == Exit.DONE
    for words in (["ls"], ["ls", "-l"]):
        assert psk(*words, uri).code == Exit.DONE
    assert not (tmp_path / "mark").exists()
    psk("get", "--decode", uri, key)
    assert (tmp_path / "mark").exists()


def test_decoding_prints_the_object(psk, uri):
    with Store.from_uri(uri) as store:
        keys = [store.put(value) for value in ({"a": [1, "\x1b[31m"]}, None, pickle.PickleBuffer(b""))]
    assert psk("get", "--decode", uri, keys[0]).out == "{'a': [1, '\\x1b[31m']}\n"
    assert psk("get", "--decode", uri, keys[1]).out == "None\n"
    assert psk("get", "--decode", uri, keys[0], "--json").document["type"] == "builtins.dict"
    assert psk("get", "--decode", uri, keys[0], "-o", "x").code == Exit.USAGE


@pytest.mark.parametrize("how", [(), ("--decode",)])
def test_the_rules_of_the_environment_hold(command, uri, tmp_path, how):
    with Store.from_uri(uri) as store:
        key = store.put(Planted(tmp_path / "mark"))
    refused = command("get", uri, key, *how, env={"PSK_SIGNING": "required"})
    assert refused.returncode == Exit.FAILED
    assert b"is not signed" in refused.stderr
    raw = command("get", uri, key, *how, env={"PSK_CODECS": "raw"})
    assert (raw.returncode, b"'pickle'" in raw.stderr) == ((Exit.FAILED, True) if how else (Exit.DONE, False))
    assert not (tmp_path / "mark").exists()


def test_a_private_file_stays_private(psk, put, uri, source, tmp_path):
    key = put(uri, source)
    (tmp_path / "private").touch(mode=0o600)
    assert psk("get", uri, key, "-o", tmp_path / "private").code == Exit.DONE
    assert (tmp_path / "private").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "private").read_bytes() == source.read_bytes()


def test_an_output_file_is_whole_or_as_it_was(psk, put, uri, source, tmp_path):
    from psk.cli import get

    key = put(uri, source)
    place = tmp_path / "out"
    place.mkdir()
    (place / "copy").write_text("before")
    (place / "link").symlink_to("copy")

    def fail(*_):
        raise OSError(28, "No space left on device")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(get.os, "replace", fail)
        assert psk("get", uri, key, "-o", place / "copy").code == Exit.FAILED
    assert (place / "copy").read_text() == "before"
    assert psk("get", uri, key, "-o", place / "link").code == Exit.DONE
    assert (place / "copy").read_bytes() == source.read_bytes()
    assert sorted(os.listdir(place)) == ["copy", "link"]
    assert psk("get", uri, key, "-o", "/dev/null").code == Exit.DONE
    assert psk("get", uri, key, "-o", place).code == Exit.FAILED


@pytest.mark.parametrize(
    ("data", "code"),
    [(b"a line\n\tanother \xe2\x82\xac\n", Exit.DONE), (b"\x1b]0;title\x07", Exit.USAGE), (b"\xff", Exit.USAGE)],
)
def test_a_terminal_gets_no_control_characters(command, uri, tmp_path, data, code):
    (tmp_path / "given").write_bytes(data)
    key = command("put", uri, "given").stdout.decode().strip()
    ours, theirs = pty.openpty()
    try:
        done = command("get", uri, key, capture_output=False, stdout=theirs, stderr=subprocess.PIPE)
        assert done.returncode == code
        if code:
            assert b"are not text and could control the terminal" in done.stderr
        else:
            assert os.read(ours, 100).replace(b"\r\n", b"\n") == data
    finally:
        os.close(ours)
        os.close(theirs)
