"""Is any damage to a stored object ever taken for its value (P4; C21, C24)?"""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from psk.connectors.file import reading
from psk.errors import DeadlineError, PayloadError
from psk.wire import encode

VALUES = (
    b"",
    b"bytes" * 500,
    {"a": [1, 2, 3], "b": "text"},
    np.arange(3000),
    [np.arange(700), bytearray(b"x" * 5000), np.ones((40, 40))],
)


def test_no_damage_goes_unnoticed(files, directory, scale, seed, decoded):
    chance = random.Random(seed)
    silent = []
    for trial in range(scale("file.bit_flips")):
        payload = encode(VALUES[trial % len(VALUES)])
        key = files.put(payload)
        place = Path(directory) / key
        stored = bytearray(place.read_bytes())
        if trial % 4:
            position = chance.randrange(8 * len(stored))
            stored[position // 8] ^= 1 << position % 8
        else:
            del stored[chance.randrange(len(stored)) :]
        place.unlink()
        place.write_bytes(stored)
        place.chmod(0o400)
        try:
            decoded(files.get(key))
            silent.append((trial, key))
        except PayloadError:
            pass
        files.evict(key)
    assert silent == []


def test_a_large_object_is_summed_on_its_way(files, directory, decoded):
    array = np.arange(2_000_000)
    key = files.put(encode(array))
    frames = files.get(key)
    assert frames.crc is not None
    assert np.array_equal(decoded(frames), array)
    place = Path(directory) / key
    place.chmod(0o600)
    with place.open("r+b") as file:
        file.seek(9_000_000)
        file.write(b"\xff")
    place.chmod(0o400)
    with pytest.raises(PayloadError, match="checksum"):
        decoded(files.get(key))


def test_a_large_object_without_checksum_is_not_summed(files, decoded):
    key = files.put(encode(np.zeros(1_000_000), checksum=False))
    frames = files.get(key)
    assert frames.crc is None
    assert not decoded(frames).any()


def test_no_thread_to_be_had_is_no_error(files, monkeypatch, decoded):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(reading.threading.Thread, "start", refuse)
    key = files.put(encode(np.ones(1_000_000)))
    assert decoded(files.get(key)).sum() == 1_000_000


@pytest.mark.parametrize("size", [100, 9_000_000])
def test_an_object_cut_off_while_it_is_read(files, directory, monkeypatch, size):  # C24
    key = files.put(encode(bytes(size)))
    os.chmod(f"{directory}/{key}", 0o600)
    read = reading.read_frames

    def cut(descriptor, *arguments):
        os.truncate(f"{directory}/{key}", 60)
        return read(descriptor, *arguments)

    monkeypatch.setattr(reading, "read_frames", cut)
    os.utime(f"{directory}/{key}", (4e9, 4e9))  # an object with an expiry, far away
    with pytest.raises(PayloadError, match="cut off"):
        files.get(key)


@pytest.mark.parametrize("call", ["get", "put"])
def test_a_large_object_keeps_its_deadline(files, directory, call):  # C5
    payload = encode(np.zeros(60_000_000, np.uint8), checksum=False)
    if call == "put":
        with pytest.raises(DeadlineError):
            files.put(payload, timeout=0)
        assert os.listdir(directory) == []
    else:
        files.put(payload)
        with pytest.raises(DeadlineError):
            files.get(payload.key, timeout=0)
