"""Damage stored bytes: no wrong value, and no error but PayloadError (P4, P15)."""

import os
import random
import struct
import tracemalloc

import numpy as np
import pytest

from psk.errors import PayloadError
from psk.wire import Frames, Header, Payload, SigningKey, decode, encode

KEY = SigningKey("damage", b"0123456789abcdef")


def objects():
    return [
        b"some bytes",
        "some text",
        bytearray(200),
        memoryview(bytes(24)).cast("d"),
        {"list": [1, 2.5, None], "text": "x" * 50},
        [np.arange(1024.0), np.arange(600)],
    ]


def equal(found, expected):
    if isinstance(expected, list):
        return len(found) == len(expected) and all(map(np.array_equal, found, expected))
    return type(found) is type(expected) and found == expected


def outcome(received, expected):
    """What a reader makes of received bytes: "refused" or "right"; anything else fails the test."""
    try:
        payload = Payload.parse(received)
        payload.verify()
        found = decode(payload)
    except PayloadError:
        return "refused"
    assert equal(found, expected), "a wrong value was decoded"
    return "right"


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("number", range(6))
def test_every_single_bit_matters_or_is_noticed(number, signed):
    expected = objects()[number]
    whole = encode(expected, signing_key=KEY if signed else None).tobytes()
    damaged = bytearray(whole)
    # Header, table and the first frames bit by bit; a long payload's tail is left to the random flips below.
    for place in range(min(len(whole), 320)):
        for bit in range(8):
            damaged[place] ^= 1 << bit
            assert outcome(bytes(damaged), expected) == "refused"
            damaged[place] ^= 1 << bit
    assert outcome(whole, expected) == "right"


def test_random_damage_is_never_a_wrong_value(scale, seed):
    chance = random.Random(seed)
    payloads = [(expected, encode(expected).tobytes()) for expected in objects()]
    for _ in range(scale("wire.bit_flips")):
        expected, whole = chance.choice(payloads)
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 1, 2, 5))):
            place = chance.randrange(len(damaged))
            damaged[place] ^= 1 << chance.randrange(8)
        assert outcome(damaged, expected) == ("right" if damaged == whole else "refused")


@pytest.mark.parametrize("number", range(6))
@pytest.mark.parametrize("checksum", [True, False])
def test_every_truncation_is_refused(number, checksum):
    expected = objects()[number]
    whole = encode(expected, checksum=checksum).tobytes()
    places = range(len(whole)) if len(whole) < 1000 else [*range(300), *range(300, len(whole), 97), len(whole) - 1]
    for length in places:
        assert outcome(whole[:length], expected) == "refused"
    assert outcome(whole + b"\0", expected) == "refused"
    assert outcome(Frames([whole, b""]), expected) == "refused"


def test_frames_that_arrive_cut_swapped_or_missing_are_refused():
    expected = [np.arange(1024.0), np.arange(1024.0) + 1]
    whole = encode(expected).tobytes()
    header = Header.read(whole)
    start = len(header._block)
    block, rest = whole[:start], whole[start:]
    stream = rest[: header.frame_sizes[0]]
    one, two = whole[-(8192 * 2) : -8192], whole[-8192:]
    assert outcome(Frames([block, stream, one, two]), expected) == "right"
    for pieces in (
        [block, stream, two, one],
        [block, stream, one],
        [block, stream, one, two, b""],
        [block, stream, one, two[:-1]],
        [block + b"\0", stream, one, two],
        [block[:-1], stream, one, two],
        [stream, block, one, two],
        [],
    ):
        assert outcome(Frames(pieces), expected) == "refused"


def test_a_frame_of_another_length_is_named_as_such():
    block, *frames = encode(np.arange(100.0)).parts
    with pytest.raises(PayloadError) as info:
        Payload.parse(Frames([block, *frames[:-1], b"short"]))
    assert "not a buffer" not in str(info.value)
    assert "a frame of 5 bytes instead of" in str(info.value)


@pytest.mark.parametrize("given", [None, 5, "text", [], object(), np.arange(9)[::2], memoryview(bytes(200))[::2]])
def test_what_is_no_contiguous_buffer_is_refused(given):
    with pytest.raises(PayloadError):
        Payload.parse(given)
    with pytest.raises(PayloadError):
        Payload.parse(Frames([encode(b"x").tobytes()[:64], given]))


def test_a_released_buffer_is_refused():
    view = memoryview(encode(b"x").tobytes())
    view.release()
    with pytest.raises(PayloadError):
        Payload.parse(view)


def test_garbage_is_refused_and_allocates_nothing_it_claims(scale, seed):
    chance = random.Random(seed)
    start = encode(b"x").tobytes()[:64]
    tracemalloc.start()
    try:
        for _ in range(scale("wire.garbage")):
            garbage = os.urandom(chance.randrange(200))
            if chance.random() < 0.8:
                keep = chance.randrange(64)
                garbage = start[:keep] + garbage
            tracemalloc.reset_peak()
            before = tracemalloc.get_traced_memory()[0]
            with pytest.raises(PayloadError):
                Payload.parse(garbage).verify()
            assert tracemalloc.get_traced_memory()[1] - before < 50_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("offset", "form", "claim"),
    [
        (24, "<Q", 2**63),
        (32, "<I", 2**32 - 1),
        (32, "<I", 65_537),
        (53, "<Q", 2**63 - 1),
        (53, "<Q", 2**64 - 1),
        (53, "<Q", 2**40),
        (6, "<B", 255),
        (7, "<B", 255),
        (40, "<I", 1),
        (40, "<I", 2**32 - 1),
        (44, "<I", 1),
        (5, "<B", 8),
        (5, "<B", 2),
        (63, "<B", 1),
    ],
)
def test_claims_are_measured_against_what_arrived(offset, form, claim):
    forged = bytearray(encode(b"hello", checksum=False).tobytes())
    struct.pack_into(form, forged, offset, claim)
    tracemalloc.start()
    try:
        with pytest.raises(PayloadError):
            Payload.parse(bytes(forged))
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_a_table_of_many_empty_frames_costs_no_more_than_it_should():
    with pytest.raises(PayloadError):
        Payload.parse(
            struct.pack("<4sBBBB16sQIIII", b"\x93PSK", 1, 0, 5, 0, bytes(16), 0, 100_000, 0, 0, 0) + bytes(900_000)
        )


@pytest.mark.parametrize("signed", [False, True])
def test_every_byte_of_a_large_payload_matters(signed, seed):
    chance = random.Random(seed)
    expected = [np.arange(300_000.0), np.arange(100_000)]
    whole = bytearray(encode(expected, signing_key=KEY if signed else None).tobytes())
    begin = Header.read(whole).frame_ranges()[0][0]
    for place in (*range(begin), *(chance.randrange(begin, len(whole)) for _ in range(100))):
        bit = 1 << chance.randrange(8)
        whole[place] ^= bit
        assert outcome(whole, expected) == "refused", place
        whole[place] ^= bit
    assert outcome(whole, expected) == "right"


@pytest.mark.parametrize("chunks", [0, 1, 2, 4, 1 << 24, (1 << 24) + 1, 2**32 - 1])
def test_another_number_of_chunks_than_the_frames_have_is_refused(chunks):
    forged = bytearray(encode(bytearray(2_500_000)).tobytes())
    struct.pack_into("<I", forged, 40, chunks)
    tracemalloc.start()
    try:
        for read in (Header.read, Payload.parse):
            with pytest.raises(PayloadError):
                read(forged)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


def test_sums_without_a_checksum_are_refused():
    forged = bytearray(encode(bytearray(2_500_000)).tobytes())
    forged[5] = 0
    with pytest.raises(PayloadError, match="damaged"):
        Payload.parse(forged)


def test_a_newer_version_says_what_to_install():
    newer = bytearray(encode(b"hello").tobytes())
    newer[4] = 2
    with pytest.raises(PayloadError, match=r"format version 2.*install.*found: version 1"):
        Payload.parse(newer)


def test_foreign_bytes_are_named_as_such():
    with pytest.raises(PayloadError, match="not a payload of psk"):
        Payload.parse(b"\x80\x05" + bytes(100))


def test_what_a_connector_summed_itself_is_used_and_must_match():
    payload = encode(bytes(3_000_000))
    whole = payload.tobytes()
    Payload.parse(Frames([whole], sums=payload.sums)).verify()
    for wrong in (bytes(len(payload.sums)), payload.sums[:-4], b""):
        with pytest.raises(PayloadError, match="checksum"):
            Payload.parse(Frames([whole], sums=wrong)).verify()


def test_padding_between_frames_must_be_zero():
    payload = encode([np.arange(1024.0)], checksum=False)
    whole = bytearray(payload.tobytes())
    whole[-8193] = 1
    with pytest.raises(PayloadError):
        Payload.parse(whole)


@pytest.mark.parametrize(
    ("codec", "frames"),
    [
        ("bytes", []),
        ("bytes", [b"a", b"b"]),
        ("str", [b"\xff"]),
        ("memory", [b"d\x08\x01" + bytes(8)]),
        ("memory", [b"d\x08\x01" + struct.pack("<Q", 9), bytes(8)]),
        ("memory", [b"d\x04\x01" + struct.pack("<Q", 1), bytes(8)]),
        ("memory", [b"z\x04\x01" + struct.pack("<Q", 1), bytes(8)]),
        ("memory", [b"d\x08\x02" + struct.pack("<QQ", 0, 2**60), b""]),
        ("memory", [b"d\x08\x02" + struct.pack("<QQ", 0, 2), bytes(8)]),
        ("pickle", []),
        ("pickle", [b""]),
        ("pickle", [b"garbage"]),
        ("pickle", [b"cno_such_module\nname\n."]),
        ("pickle", [b"\x80\x05\x97."]),
        ("pickle", [b"\x80\x05\x8e" + struct.pack("<Q", 2**62)]),
        ("cloudpickle", [b"\x80\x05]"]),
    ],
)
def test_frames_that_a_codec_did_not_write_are_refused(codec, frames):
    payload = Payload.parse(Payload.build(codec, frames).tobytes())
    payload.verify()
    with pytest.raises(PayloadError) as caught:
        decode(payload)
    assert payload.key in str(caught.value) or codec != "pickle"
    assert caught.value.__cause__ is not None


def test_a_checker_that_looks_for_wrong_values_finds_one():
    """Plant the bug: bytes changed behind the reader's back must not pass as right."""
    with pytest.raises(AssertionError, match="wrong value"):
        outcome(encode(b"other bytes").tobytes(), b"some bytes")
