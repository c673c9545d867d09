"""Keep references small and exact, and refuse all others with InvalidReferenceError."""

import random
import struct
import zlib

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from psk.errors import InvalidReferenceError, SignatureError, UnsignedError
from psk.wire import Reference, SigningKey, code_of

URI = "file:///scratch/objects"
ID = "000102030405060708090a0b0c0d0e0f"
KEY = SigningKey("team", b"0123456789abcdef")
FIELDS = {
    "key": st.binary(min_size=16, max_size=16).map(bytes.hex)
    | st.tuples(st.binary(min_size=16, max_size=16).map(bytes.hex), st.from_regex(r"\A[A-Za-z0-9._~@:+-]{1,63}\Z")).map(
        "@".join
    ),
    "evict": st.booleans(),
    "wait": st.booleans(),
    "nbytes": st.none() | st.integers(0, 2**63 - 1),
    "checksum": st.none() | st.integers(0, 2**32 - 1),
    "type_code": st.integers(0, 255),
    "hash": st.none() | st.integers(-(2**63), 2**63 - 1),
    "protocols": st.none() | st.integers(0, 2**63 - 1),
    "provider": st.just("") | st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,62}[A-Za-z0-9]\Z"),
}


def fields(reference):
    return reference._asdict()


def test_every_reference_comes_back(scale):
    @settings(max_examples=scale("wire.round_trips"), deadline=None)
    @given(st.fixed_dictionaries(FIELDS), st.booleans(), st.integers(0, 3_200_000_000_000))
    def check(options, signed, milliseconds):
        reference = Reference(URI, **options, timeout=milliseconds / 1000 if options["wait"] else None)
        if signed:
            reference = reference.sign(KEY)
        found = Reference.from_bytes(URI, reference.to_bytes())
        assert fields(found) == fields(reference)
        assert found == reference
        assert hash(found) == hash(reference)
        if signed:
            found.verify(KEY)

    check()


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, 24),
        ({"nbytes": 100}, 25),
        ({"nbytes": 100_000_064, "checksum": 5, "type_code": 64, "protocols": 0x5E}, 33),
        ({"nbytes": 2**40, "checksum": 5, "evict": True, "wait": True, "protocols": 0x11E}, 36),
        ({"nbytes": 64, "hash": 5, "type_code": 1}, 33),
    ],
)
def test_a_typical_body_has_at_most_36_bytes(options, size):
    body = Reference(URI, ID, **options).to_bytes()
    assert len(body) == size <= 36
    assert len(Reference(URI, ID, **options).sign(KEY).to_bytes()) == size - 4 + 1 + len("team") + 16


def test_every_changed_bit_is_noticed_before_anything_is_resolved():
    reference = Reference(URI, f"{ID}@n7", nbytes=9, hash=5, type_code=1, protocols=3, provider="psk-connector-s3")
    body = reference.to_bytes()
    for bit in range(8 * len(body)):
        damaged = bytearray(body)
        damaged[bit // 8] ^= 1 << bit % 8
        with pytest.raises(InvalidReferenceError):
            Reference.from_bytes(URI, bytes(damaged))
    for place in range(len(URI)):
        changed = URI[:place] + chr(ord(URI[place]) ^ 1) + URI[place + 1 :]
        with pytest.raises(InvalidReferenceError):
            Reference.from_bytes(changed, body)


def test_damaged_bodies_raise_one_error_only(scale, seed):
    chance = random.Random(seed)
    bodies = [
        Reference(URI, ID, nbytes=10**9, checksum=7, type_code=64).to_bytes(),
        Reference(URI, f"{ID}@node-7:5", hash=-1, evict=True).sign(KEY).to_bytes(),
        Reference(URI, ID, wait=True).to_bytes(),
        Reference(URI, ID, wait=True, timeout=2.5).to_bytes(),
        Reference(URI, ID, protocols=0x11E, provider="psk-connector-s3").to_bytes(),
    ]
    for _ in range(scale("wire.references")):
        body = bytearray(chance.choice(bodies))
        kind = chance.randrange(4)
        if kind == 0:
            body = body[: chance.randrange(len(body))]
        elif kind == 1:
            body += chance.randbytes(chance.randrange(1, 20))
        elif kind == 2:
            body = bytearray(chance.randbytes(chance.randrange(80)))
            body[:3] = bytes((1, chance.randrange(256), 0))
        for _ in range(chance.randrange(3)):
            if body:
                body[chance.randrange(len(body))] ^= 1 << chance.randrange(8)
        if chance.randrange(2):  # past the checksum, as a forger would
            body = with_checksum(body[:-4])
        try:
            found = Reference.from_bytes(URI, bytes(body))
        except InvalidReferenceError:
            continue
        # What is accepted is well formed, and written back to the very same bytes.
        assert found.to_bytes() == bytes(body)


@pytest.mark.parametrize("timeout", [-1.0, 4e9])
def test_a_senseless_time_to_wait_is_not_written(timeout):
    with pytest.raises(InvalidReferenceError):
        Reference(URI, ID, wait=True, timeout=timeout).to_bytes()


def test_every_truncation_and_every_extra_byte_is_refused():
    body = Reference(URI, f"{ID}@w", nbytes=1000, checksum=1, hash=1).sign(KEY).to_bytes()
    for length in range(len(body)):
        with pytest.raises(InvalidReferenceError):
            Reference.from_bytes(URI, body[:length])
    with pytest.raises(InvalidReferenceError, match="follow"):
        Reference.from_bytes(URI, body + b"\0")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "x" * 2049,
        "file:///a\nb",
        "file:///a\0b",
        "file:///\x7f",
        "\ud800",
        "a\u2028b",
        None,
        b"file:///",
        5,
        ["file"],
    ],
)
def test_a_uri_that_no_store_writes_is_refused(uri):
    body = Reference(URI, ID).to_bytes()
    with pytest.raises(InvalidReferenceError):
        Reference.from_bytes(uri, body)
    with pytest.raises(InvalidReferenceError):
        Reference(uri, ID).to_bytes()


@pytest.mark.parametrize("body", [None, "text", 5, bytearray(20), memoryview(bytes(20)), b""])
def test_a_body_that_is_not_bytes_is_refused(body):
    with pytest.raises(InvalidReferenceError):
        Reference.from_bytes(URI, body)


def with_checksum(body):
    """Complete a body by hand."""
    return bytes(body) + struct.pack("<I", zlib.crc32(URI.encode() + b"\0" + body))


@pytest.mark.parametrize(("place", "value"), [(0, 2), (0, 0), (2, 0x80), (2, 0x02), (1, 0x08), (1, 0x10)], ids=hex)
def test_unknown_versions_and_flags_are_refused(place, value):
    body = bytearray(Reference(URI, ID).to_bytes()[:-4])
    Reference.from_bytes(URI, with_checksum(body))
    body[place] = value
    with pytest.raises(InvalidReferenceError):
        Reference.from_bytes(URI, with_checksum(body))


@pytest.mark.parametrize("size", [b"\x80\x00", b"\x80" * 9 + b"\x01", b"\x80" * 100_000, b"\xff" * 9 + b"\x7f"])
def test_sizes_have_one_form_and_63_bits(size):
    body = bytearray(Reference(URI, ID).to_bytes()[:-4])
    body[1] = 1
    with pytest.raises(InvalidReferenceError, match="number in it"):
        Reference.from_bytes(URI, with_checksum(body + size))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "0" * 31,
        "0" * 31 + "g",
        ID.upper(),
        ID + "x",
        ID + "@",
        ID + "@a/b",
        ID + "@" + "x" * 64,
        ID[:-1] + " ",
        None,
        5,
    ],
)
def test_a_key_that_no_connector_returns_is_refused(key):
    with pytest.raises(InvalidReferenceError):
        Reference(URI, key).to_bytes()


@pytest.mark.parametrize(
    "options",
    [
        {"nbytes": -1},
        {"nbytes": 2**63},
        {"nbytes": "1"},
        {"checksum": 2**32},
        {"hash": 2**63},
        {"type_code": 256},
        {"protocols": -1},
        {"protocols": 2**63},
        {"provider": "a b"},
        {"provider": "x" * 65},
        {"provider": "-x"},
    ],
)
def test_a_field_that_does_not_fit_is_refused(options):
    with pytest.raises(InvalidReferenceError):
        Reference(URI, ID, **options).to_bytes()


def test_a_signed_reference_holds_for_its_uri_and_fields_only():
    signed = Reference(URI, ID, nbytes=5, evict=True).sign(KEY)
    body = signed.to_bytes()
    Reference.from_bytes(URI, body).verify(KEY)
    with pytest.raises(SignatureError):
        Reference.from_bytes("file:///elsewhere", body).verify(KEY)
    with pytest.raises(SignatureError):
        Reference.from_bytes(URI, body).verify(SigningKey("team", b"another secret of it"))
    with pytest.raises(SignatureError):
        Reference.from_bytes(URI, body).verify(SigningKey("other", b"0123456789abcdef"))
    for place in range(len(body)):
        forged = bytearray(body)
        forged[place] ^= 1
        with pytest.raises((InvalidReferenceError, SignatureError, UnsignedError)):
            Reference.from_bytes(URI, bytes(forged)).verify(KEY)


def test_an_unsigned_reference_does_not_verify():
    with pytest.raises(UnsignedError):
        Reference(URI, ID).verify(KEY)


def test_a_reference_that_claims_a_signature_without_one_cannot_be_written():
    with pytest.raises(InvalidReferenceError, match="sign"):
        Reference(URI, ID, signed_by="team").to_bytes()


def test_its_text_names_the_object_and_no_signature():
    text = repr(Reference(URI, ID, nbytes=5, type_code=code_of(bytes)).sign(KEY))
    assert URI in text
    assert ID in text
    assert "mac" not in text
