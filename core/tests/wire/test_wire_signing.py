"""Sign and verify payloads, and find keys (P3, P4)."""

import base64
import os
import pickle

import numpy as np
import pytest

from psk.errors import PayloadError, SignatureError, SigningError, SigningKeyMissingError, UnsignedError
from psk.wire import Frames, Payload, SigningKey, decode, encode, find_signing_key, set_signing_key, signing

SECRET = bytes(range(32))
KEY = SigningKey("team-1", SECRET)


@pytest.fixture(autouse=True)
def sources(monkeypatch, tmp_path):
    """No keys but those a test provides."""
    monkeypatch.setattr(signing, "_keys", {})
    monkeypatch.setenv("PSK_KEY_DIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize(
    "obj", [b"x" * 100, [np.arange(1000), np.arange(2000)], bytearray(5)], ids=["one", "many", "raw"]
)
def test_a_signed_payload_verifies_in_every_form(obj, checksum):
    payload = encode(obj, checksum=checksum, signing_key=KEY)
    whole = payload.tobytes()
    for parsed in (payload, Payload.parse(whole), Payload.parse(Payload.parse(whole).received)):
        parsed.verify()
        parsed.verify_signature(SigningKey("team-1", SECRET))
        assert parsed.signed_by == "team-1"
    assert np.array_equal(decode(Payload.parse(whole))[0], obj[0])


def test_every_forged_byte_is_noticed():
    whole = encode(b"pay 10 to Alice", checksum=False, signing_key=KEY).tobytes()
    for place in range(len(whole)):
        forged = bytearray(whole)
        forged[place] ^= 1
        with pytest.raises((PayloadError, SignatureError, SigningError)):
            Payload.parse(forged).verify_signature(KEY)


def test_a_forged_body_with_a_right_checksum_is_noticed():
    whole = encode(b"pay 10 to Alice", signing_key=KEY).tobytes()
    forged = whole.replace(b"Alice", b"Mallo")
    parsed = Payload.parse(forged)
    repaired = bytearray(forged)
    import zlib

    crc = zlib.crc32(forged[:44], zlib.crc32(forged[48:]))
    repaired[44:48] = crc.to_bytes(4, "little")
    with pytest.raises(PayloadError):
        parsed.verify()
    parsed = Payload.parse(repaired)
    parsed.verify()
    with pytest.raises(SignatureError, match="team-1"):
        parsed.verify_signature(KEY)


@pytest.mark.parametrize("change", [{"object_id": bytes(16)}, {"revision": 1}, {"expires": True}])
def test_the_signature_covers_the_header(change):
    mine = {"object_id": b"i" * 16, "revision": 0, "expires": False}
    whole = encode(b"value", checksum=False, signing_key=KEY, **mine).tobytes()
    other = encode(b"value", checksum=False, signing_key=SigningKey("team-1", b"x" * 16), **(mine | change)).tobytes()
    offset = 48 + len("bytes") + len("team-1") + 8
    forged = other[:offset] + whole[offset : offset + 32] + other[offset + 32 :]
    with pytest.raises(SignatureError):
        Payload.parse(forged).verify_signature(KEY)


def test_another_key_or_another_name_does_not_verify():
    parsed = Payload.parse(encode(b"x", signing_key=KEY).tobytes())
    with pytest.raises(SignatureError):
        parsed.verify_signature(SigningKey("team-1", b"another secret of it"))
    with pytest.raises(SignatureError, match="team-1"):
        parsed.verify_signature(SigningKey("team-2", SECRET))


def test_an_unsigned_payload_is_not_verified_by_any_key():
    with pytest.raises(UnsignedError):
        Payload.parse(encode(b"x").tobytes()).verify_signature(KEY)


def test_what_a_connector_summed_is_verified_with_the_signature():
    payload = encode(bytes(2_000_000), signing_key=KEY)
    parsed = Payload.parse(Frames([payload.tobytes()], payload.sums))
    parsed.verify()
    parsed.verify_signature(KEY)


def test_a_key_shows_and_travels_nowhere():
    assert SECRET.hex() not in repr(KEY)
    assert repr(SECRET) not in repr(KEY)
    assert SECRET not in encode(b"x", signing_key=KEY).tobytes()
    for protocol in range(6):
        with pytest.raises(SigningError, match="cannot be pickled"):
            pickle.dumps(KEY, protocol)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "..", "a b", "x" * 65, "\u00e9", "a\0", None, b"bytes"])
def test_malformed_names_are_refused(name):
    for work in (
        lambda: SigningKey(name, SECRET),
        lambda: find_signing_key(name),
        lambda: set_signing_key(name, SECRET),
    ):
        with pytest.raises(SigningError):
            work()


@pytest.mark.parametrize("secret", [b"", b"fifteen bytes!!", "short", 5])
def test_short_secrets_are_refused(secret):
    with pytest.raises(SigningError, match="16"):
        set_signing_key("k", secret)


def test_a_missing_key_lists_the_three_places(sources):
    with pytest.raises(SigningKeyMissingError) as caught:
        find_signing_key("my-key.1")
    for place in ("set_signing_key", "PSK_SIGNING_KEY_MY_KEY_1", str(sources / "my-key.1")):
        assert place in str(caught.value)


def test_keys_are_found_in_order_of_nearness(sources, monkeypatch):
    path = sources / "k"
    path.write_bytes(b"f" * 16)
    path.chmod(0o600)
    assert find_signing_key("k")._secret == b"f" * 16
    monkeypatch.setenv("PSK_SIGNING_KEY_K", "environment secret")
    assert find_signing_key("k")._secret == b"environment secret"
    set_signing_key("k", b"p" * 16)
    assert find_signing_key("k")._secret == b"p" * 16
    set_signing_key("k", None)
    assert find_signing_key("k")._secret == b"environment secret"


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        (SECRET.hex(), SECRET),
        (SECRET.hex().upper() + "\n", SECRET),
        (base64.b64encode(SECRET).decode(), SECRET),
        ("correct horse battery staple", b"correct horse battery staple"),
        ("twentyfourcharactertext!", b"twentyfourcharactertext!"),
        ("abcdefghijklmnopqrst", b"abcdefghijklmnopqrst"),
        ("0123456789abcdef", b"0123456789abcdef"),
    ],
)
def test_text_is_read_alike_from_every_source(text, secret, sources, monkeypatch):
    set_signing_key("a", text)
    monkeypatch.setenv("PSK_SIGNING_KEY_B", text)
    (sources / "c").write_text(text)
    (sources / "c").chmod(0o400)
    assert [find_signing_key(name)._secret for name in "abc"] == [secret] * 3


def test_random_bytes_are_read_as_they_are(sources):
    content = b"\xff\xfe" + bytes(30) + b"\n"
    (sources / "k").write_bytes(content)
    (sources / "k").chmod(0o600)
    assert find_signing_key("k")._secret == content


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o620, 0o601])
def test_a_key_file_that_others_may_touch_is_refused(mode, sources):
    (sources / "k").write_bytes(SECRET)
    (sources / "k").chmod(mode)
    with pytest.raises(SigningError, match=rf"chmod 600.*{mode:04o}"):
        find_signing_key("k")


def test_what_is_no_regular_file_is_refused(sources):
    (sources / "directory").mkdir(mode=0o700)
    (sources / "real").write_bytes(SECRET)
    (sources / "real").chmod(0o600)
    (sources / "link").symlink_to(sources / "real")
    os.mkfifo(sources / "fifo", 0o600)
    (sources / "long").write_bytes(bytes(5000))
    (sources / "long").chmod(0o600)
    for name in ("directory", "link", "fifo", "long"):
        with pytest.raises(SigningError, match=name):
            find_signing_key(name)


def test_the_default_place_is_the_users_own_directory(monkeypatch, tmp_path):
    monkeypatch.delenv("PSK_KEY_DIR")
    monkeypatch.setenv("HOME", str(tmp_path))
    folder = tmp_path / ".config" / "psk" / "keys"
    folder.mkdir(parents=True)
    (folder / "k").write_bytes(SECRET)
    (folder / "k").chmod(0o600)
    assert find_signing_key("k")._secret == SECRET


@pytest.mark.parametrize("secret", [b"a secret of bytes", "a/secret+of=characters"])
def test_a_secret_given_for_a_name_is_not_shown(secret):
    with pytest.raises(SigningError) as caught:
        find_signing_key(secret)
    assert "secret of" not in str(caught.value)
    assert "secret+of" not in str(caught.value)
