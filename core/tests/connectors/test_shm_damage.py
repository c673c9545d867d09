"""Damage objects in shared memory: where they are verified, the damage is never returned as a value (P4)."""

import os
import random
from pathlib import Path

import numpy as np
import pytest

from psk.connectors.shm import ShmConnector
from psk.errors import ChannelDataError, PayloadError, SerializationError
from psk.wire import encode

VALUES = (
    b"",
    b"bytes" * 500,
    {"a": [1, 2, 3], "b": "text"},
    np.arange(3000),
    [np.arange(700), bytearray(b"x" * 70_000), np.ones((40, 40))],
    np.zeros(100_000),
)


@pytest.fixture
def segments():
    """A connector in an empty space."""
    opened = ShmConnector()
    yield opened
    opened.clear()
    opened.close()


def damage(place, chance, trial, nbytes):
    """Flip one bit of a stored payload, or cut it off."""
    stored = bytearray(place.read_bytes())
    if trial % 4:
        # Most objects are large: damage their headers as often as the rest.
        position = chance.randrange(8 * (128 if trial % 2 else nbytes))
        stored[position // 8 % nbytes] ^= 1 << position % 8
    else:
        del stored[chance.randrange(nbytes) :]
    place.unlink()
    place.write_bytes(stored)
    place.chmod(0o700)


def silently_wrong(connector, read, chance, trials, *, checksum=True, refusal=PayloadError):
    """Damage stored objects; return those that could be read all the same."""
    silent = []
    for trial in range(trials):
        payload = encode(VALUES[trial % len(VALUES)], checksum=checksum)
        key = connector.put(payload)
        damage(Path(connector._channel.path) / key, chance, trial, payload.nbytes)
        try:
            read(connector.get(key))
            silent.append((trial, key))
        except refusal:
            pass
        os.unlink(f"{connector._channel.path}/{key}")
    return silent


def test_no_damage_goes_unnoticed(segments, scale, seed, decoded):
    assert silently_wrong(segments, decoded, random.Random(seed), scale("shm.bit_flips")) == []


def test_the_check_sees_damage_that_goes_unnoticed(segments, seed, decoded):
    assert silently_wrong(segments, decoded, random.Random(seed), 200, checksum=False, refusal=SerializationError)


def test_a_swapped_object_is_noticed_without_any_checksum(segments):
    first, second = (segments.put(encode(np.full(100_000, number), checksum=False)) for number in (1, 2))
    place = segments._channel.path
    os.rename(f"{place}/{second}", f"{place}/{first}")
    with pytest.raises(PayloadError, match="does not hold this object"):
        segments.get(first)


@pytest.mark.parametrize("kind", ["link", "fifo", "directory"])
def test_what_was_planted_under_a_key_is_named(segments, tmp_path, kind):  # C4, C24
    key = "a" * 32
    place = Path(segments._channel.path) / key
    if kind == "link":
        outside = tmp_path / "outside"
        outside.write_bytes(encode("secret", object_id=bytes.fromhex(key)).tobytes())
        place.symlink_to(outside)
    elif kind == "fifo":
        os.mkfifo(place)
    else:
        place.mkdir()
    payload = encode(np.ones(100_000), object_id=bytes.fromhex(key))
    for call in (
        lambda: segments.get(key),
        lambda: segments.exists(key),
        lambda: segments.put(payload),
        lambda: segments.renew(key, 1),
        lambda: segments.take(key, "me"),
        lambda: segments.get_range(key, 0, 10),
    ):
        with pytest.raises(ChannelDataError, match="not an object of psk"):
            call()
    assert list(segments.keys()) == []
    assert segments.clear() == 0
    (place.rmdir if kind == "directory" else place.unlink)()
