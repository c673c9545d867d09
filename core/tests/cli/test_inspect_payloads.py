"""`psk inspect` describes a payload, and notices each thing that can be wrong with it."""

import os

import numpy as np
import pytest

import psk as psk_package
from psk.cli.output import Exit
from psk.connectors.shm.liveness import ROOT
from psk.wire import SigningKey, encode


def test_a_payload_is_described(psk, write):
    payload = encode([np.zeros(10_000), "text"], revision=3, expires=True)
    path = write(payload.tobytes())
    document = psk("inspect", path, "--json").document
    assert document["problems"] == []
    described = document["payload"]
    assert {name: described[name] for name in ("key", "codec", "nbytes", "revision", "expires", "checksum")} == {
        "key": payload.key,
        "codec": "pickle",
        "nbytes": payload.nbytes,
        "revision": 3,
        "expires": True,
        "checksum": "correct",
    }
    assert described["frames"] == list(payload.frame_sizes)
    text = psk("inspect", path).out
    assert payload.key in text
    assert "correct" in text


@pytest.mark.parametrize("thing", [b"bytes", "text", bytearray(b"array"), memoryview(b"view"), b""])
def test_payloads_without_a_pickle_are_described(psk, write, thing):
    payload = encode(thing, checksum=False)
    done = psk("inspect", write(payload.tobytes()), "--json")
    assert (done.code, done.document["problems"]) == (Exit.DONE, [])
    assert done.document["payload"]["codec"] == payload.codec
    assert done.document["payload"]["checksum"] is None
    assert "pickle" not in done.document["payload"]


def test_every_truncation_is_noticed(psk, write):
    whole = encode([bytearray(5_000), 1]).tobytes()
    for length in [*range(4, 200, 7), len(whole) // 2, len(whole) - 1]:
        done = psk("inspect", write(whole[:length]), "--json")
        assert (done.code, done.document["kind"]) == (Exit.NO, "payload")
        assert done.document["problems"]


def test_damage_and_what_follows_are_noticed(psk, write):
    whole = encode(b"x" * 10_000).tobytes()
    for place in (5, 60, 5_000, len(whole) - 1):
        damaged = bytearray(whole)
        damaged[place] ^= 1
        done = psk("inspect", write(damaged))
        assert done.code == Exit.NO, place
        assert "problem: " in done.out
    assert psk("inspect", write(whole + b"?")).code == Exit.NO


def test_an_object_in_shared_memory_is_whole_although_its_file_is_longer(psk, tmp_path):
    with psk_package.Store("s", f"shm://test-{os.urandom(6).hex()}") as store:
        key = store.put(bytearray(os.urandom(100_001)))
        session = f"{ROOT}/psk-{os.getuid()}-{store.connector.config()['authority']}"
        (path,) = [os.path.join(root, key) for root, _, names in os.walk(session) if key in names]
        assert os.path.getsize(path) > 100_001
        assert psk("inspect", path).code == Exit.DONE
        store.connector.clear()


def test_signatures_are_checked_where_the_key_is_known(psk, write):
    payload = encode(b"x", signing_key=SigningKey("team-of-inspectors", b"s" * 32))
    path = write(payload.tobytes())
    assert psk("inspect", path, "--json").document["payload"]["signature"] == "not checked"
    assert _signature(psk, path, b"s" * 32) == (Exit.DONE, "valid")
    assert _signature(psk, path, b"t" * 32) == (Exit.NO, "wrong")


def _signature(psk, path, secret):
    psk_package.set_signing_key("team-of-inspectors", secret)
    try:
        done = psk("inspect", path, "--json")
    finally:
        psk_package.set_signing_key("team-of-inspectors", None)
    assert secret.hex() not in done.out + done.err
    return done.code, done.document["payload"]["signature"]


@pytest.mark.parametrize("data", [b"", b"hello", b"\x93PS", bytes(1000), os.urandom(10) + b"?" * 90, b"\x7fELF"])
def test_what_is_neither_is_said_to_be_neither(psk, write, data):
    done = psk("inspect", write(data), "--json")
    assert done.code == Exit.NO
    assert done.document["kind"] in {"unknown", "pickle"}
    assert done.document["problems"]


def test_a_huge_file_is_not_read_into_memory(command, tmp_path):
    # 8 GB of zeros behind a header that is right, in a process that may use 2 GB.
    head = encode(b"\0" * 100, checksum=False).tobytes()
    huge = tmp_path / "huge"
    with open(huge, "wb") as file:
        file.write(head)
        file.truncate(8_000_000_000)
    import resource

    def limit():
        resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))

    done = command("inspect", huge, preexec_fn=limit)
    assert done.returncode == Exit.NO
    assert b"damaged or truncated" in done.stdout


def test_standard_input_is_read(command):
    payload = encode([1, 2, 3])
    done = command("inspect", "-", input=payload.tobytes())
    assert done.returncode == Exit.DONE
    assert payload.key.encode() in done.stdout


def test_what_is_no_file_is_refused_at_once(psk, tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for path in (tmp_path / "fifo", tmp_path, "/dev/zero"):
        done = psk("inspect", path)
        assert done.code == Exit.USAGE
        assert "is not a file" in done.err
