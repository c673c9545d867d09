"""Damage stored files in every way: the damage is never returned as a value (P4; C21, C24)."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from psk import parallel
from psk.connectors.directory import objects
from psk.errors import DeadlineError, PayloadError, SerializationError
from psk.wire import encode

VALUES = (
    b"",
    b"bytes" * 500,
    {"a": [1, 2, 3], "b": "text"},
    np.arange(3000),
    [np.arange(700), bytearray(b"x" * 5000), np.ones((40, 40))],
)


def damage(place, chance, trial):
    """Flip one bit of a stored object, or cut it off."""
    stored = bytearray(place.read_bytes())
    if trial % 4:
        position = chance.randrange(8 * len(stored))
        stored[position // 8] ^= 1 << position % 8
    else:
        del stored[chance.randrange(len(stored)) :]
    place.unlink()
    place.write_bytes(stored)
    place.chmod(0o400)


def silently_wrong(files, read, chance, trials, *, checksum=True, refusal=PayloadError):
    """Damage stored objects; return those that could be read all the same."""
    silent = []
    for trial in range(trials):
        key = files.put(encode(VALUES[trial % len(VALUES)], checksum=checksum))
        damage(Path(files.config()["path"]) / key, chance, trial)
        try:
            read(files.get(key))
            silent.append((trial, key))
        except refusal:
            pass
        files.evict(key)
    return silent


def test_no_damage_goes_unnoticed(files, scale, seed, decoded):
    assert silently_wrong(files, decoded, random.Random(seed), scale("file.bit_flips")) == []


def test_the_check_sees_damage_that_goes_unnoticed(files, seed, decoded):
    # Without a checksum some damage is still noticed, by the header or by pickle, but not all.
    assert silently_wrong(files, decoded, random.Random(seed), 200, checksum=False, refusal=SerializationError)


def test_a_large_object_is_summed_on_its_way(files, directory, decoded):
    array = np.arange(2_000_000)
    key = files.put(encode(array))
    frames = files.get(key)
    assert len(frames.sums) == 4 * 17  # the pickle's stream, and 16 chunks of the array
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
    assert frames.sums is None
    assert not decoded(frames).any()


def test_no_thread_to_be_had_is_no_error(files, monkeypatch, decoded):
    def refuse(*_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(parallel, "start_new_thread", refuse)
    key = files.put(encode(np.ones(1_000_000)))
    assert decoded(files.get(key)).sum() == 1_000_000


@pytest.mark.parametrize("size", [100, 9_000_000])
def test_an_object_cut_off_while_it_is_read(files, directory, monkeypatch, size):  # C24
    key = files.put(encode(bytes(size)))
    os.chmod(f"{directory}/{key}", 0o600)
    read = objects.Objects.read

    def cut(self, *arguments):
        os.truncate(f"{directory}/{key}", 60)
        return read(self, *arguments)

    monkeypatch.setattr(objects.Objects, "read", cut)
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
