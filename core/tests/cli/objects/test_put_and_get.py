"""`psk get` returns what `psk put` was given."""

import base64
import os

import pytest

from psk import Store
from psk.cli.output import Exit
from psk.wire import Payload
from psk_testing.timing import becomes

MISSING = "0" * 32


@pytest.mark.parametrize("size", [0, 1, 70_000, 5_000_000])
def test_what_was_put_is_what_is_got(command, tmp_path, uri, size):
    data = os.urandom(size)
    (tmp_path / "given").write_bytes(data)
    key = command("put", uri, "given").stdout.decode().strip()
    assert command("get", uri, key).stdout == data
    assert command("get", uri, key, "-o", "taken").stdout == b""
    assert (tmp_path / "taken").read_bytes() == data
    with Store.from_uri(uri) as store:
        assert store.get(key) == data


def test_standard_input_is_put_too(command, uri):
    key = command("put", uri, "-", input=b"from a pipe").stdout.decode().strip()
    assert command("get", uri, key).stdout == b"from a pipe"
    assert command("get", uri, key, "-o", "-").stdout == b"from a pipe"


def test_json_has_it_all(psk, uri, source, tmp_path):
    done = psk("put", uri, source, "--json")
    key = done.document["key"]
    assert done.document == {"key": key, "uri": uri, "nbytes": 1_280_000}
    done = psk("get", uri, key, "--json")
    assert base64.b64decode(done.document.pop("base64")) == source.read_bytes()
    assert done.document == {
        "key": key,
        "file": None,
        "codec": "bytes",
        "frames": [1_280_000],
        "nbytes": 1_280_000,
        "revision": 0,
        "expires": False,
        "signed_by": None,
    }
    done = psk("get", uri, key, "--json", "-o", tmp_path / "copy")
    assert done.document["file"] == str(tmp_path / "copy")
    assert "base64" not in done.document
    assert (tmp_path / "copy").read_bytes() == source.read_bytes()
    assert psk("ls", uri, "--json").document == {"uri": uri, "objects": [{"key": key}]}
    done = psk("rm", uri, key, MISSING, "--json")
    assert (done.code, done.document) == (Exit.NO, {"uri": uri, "removed": 1, "missing": [MISSING]})


def test_a_missing_object_is_the_answer_no(psk, put, uri, source):
    put(uri, source)
    for words in (["get", uri, MISSING], ["get", "--decode", uri, MISSING], ["get", "--payload", uri, MISSING]):
        done = psk(*words)
        assert (done.code, done.out) == (Exit.NO, "")
        assert f"there is no object {MISSING} in " in done.err
        assert psk(*words, "--json").document["error"] == "MissingKeyError"
    done = psk("rm", uri, MISSING)
    assert (done.code, done.out) == (Exit.NO, "")
    assert f"there is no object {MISSING} in " in done.err


@pytest.mark.parametrize("key", ["x", "../x", MISSING[:-1], MISSING.replace("0", "A"), f"{MISSING}@elsewhere"])
def test_a_malformed_key_is_wrong_usage(psk, put, uri, source, key):
    put(uri, source)
    for words in (["get", uri], ["get", "--decode", uri], ["get", "--payload", uri], ["rm", uri]):
        done = psk(*words, key)
        assert (done.code, done.out) == (Exit.USAGE, "")
        assert psk(*words, key, "--json").document["error"] == "InvalidKeyError"


def test_a_payload_moves_with_its_key(psk, put, uri, source, tmp_path):
    other = f"file://{tmp_path}/other"
    with Store.from_uri(uri) as store:
        key = store.put({"a": list(range(1000))})
    assert psk("get", "--payload", uri, key, "-o", tmp_path / "payload").code == Exit.DONE
    assert Payload.parse((tmp_path / "payload").read_bytes()).key == key
    assert put(other, tmp_path / "payload", "--payload") == key
    with Store.from_uri(other) as store:
        assert store.get(key) == {"a": list(range(1000))}
    done = psk("put", "--payload", other, source)
    assert done.code == Exit.FAILED
    assert "Traceback" not in done.err


def test_damage_is_told_and_can_be_looked_at(psk, put, uri, source, tmp_path):
    key = put(uri, source)
    stored = tmp_path / "objects" / key
    content = bytearray(stored.read_bytes())
    content[70_000] ^= 1
    stored.unlink()
    stored.write_bytes(content)
    done = psk("get", uri, key, "-o", tmp_path / "copy", "--json")
    assert (done.code, done.document["error"]) == (Exit.FAILED, "PayloadError")
    assert not (tmp_path / "copy").exists()
    assert psk("get", "--payload", uri, key, "-o", tmp_path / "copy").code == Exit.DONE
    assert (tmp_path / "copy").read_bytes() == content
    stored.unlink()
    stored.write_bytes(content[:40])
    stored.chmod(0o400)
    done = psk("ls", "-l", uri)
    assert done.code == Exit.DONE
    assert "damaged" in done.out


def test_a_file_that_changes_meanwhile_is_not_kept(psk, uri, source, monkeypatch):
    from psk.cli import put

    read = put.read_content

    def change(path):
        found = read(path)
        os.utime(path, ns=(1, 1))
        return found

    monkeypatch.setattr(put, "read_content", change)
    done = psk("put", uri, source)
    assert done.code == Exit.FAILED
    assert "changed while it was put" in done.err
    assert psk("ls", uri).out == ""


def test_objects_expire(psk, put, uri, source):
    key = put(uri, source, "--ttl", "2")
    assert psk("ls", "-l", uri, "--json").document["objects"][0]["expires"] is True
    assert becomes(lambda: psk("get", uri, key, "-o", "/dev/null").code == Exit.NO, within=20)
    assert psk("get", uri, put(uri, source, "--ttl", "1h"), "-o", "/dev/null").code == Exit.DONE
    assert psk("put", "--ttl", "-1", uri, source).code == Exit.USAGE
    assert psk("put", "--ttl", "soon", uri, source).code == Exit.USAGE
