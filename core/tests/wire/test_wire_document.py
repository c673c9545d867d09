"""Compare docs/wire.md with the code: its examples, and a second writer made from its tables."""

import hashlib
import hmac
import re
import struct
import zlib
from pathlib import Path

import pytest

from psk.connectors.file import FileConnector, ServerClock
from psk.wire import Payload, Reference, SigningKey, codecs, decode, encode, header, register_codec

DOCUMENT = Path(__file__).parents[3] / "docs" / "wire.md"
ID = bytes(range(16))
SECRET = b"0123456789abcdef"
KEY = SigningKey("demo", SECRET)
URI = "file:///scratch/psk"


def examples():
    found = {}
    for name, dump in re.findall(r"^```hex ([\w ]+)\n(.*?)^```", DOCUMENT.read_text(), re.MULTILINE | re.DOTALL):
        found[name] = b"".join(bytes.fromhex(line.split("  ", 1)[1]) for line in dump.splitlines())
    return found


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("bytes", lambda: encode(b"hello", object_id=ID).tobytes()),
        (
            "memory",
            lambda: encode(memoryview(bytearray(b"\1\0\2\0")).cast("h"), object_id=ID, checksum=False).tobytes(),
        ),
        ("chunks", lambda: encode(bytearray(2**20 + 1), object_id=ID).tobytes()[:128]),
        ("signed", lambda: encode(b"hello", object_id=ID, revision=1, signing_key=KEY).tobytes()),
        (
            "reference",
            lambda: Reference(URI, ID.hex(), nbytes=300, checksum=0xAFD3E56D, type_code=5, evict=True).to_bytes(),
        ),
        (
            "provided reference",
            lambda: Reference("s3://bucket", ID.hex(), protocols=0x11E, provider="psk-connector-s3").to_bytes(),
        ),
        ("signed reference", lambda: Reference(URI, f"{ID.hex()}@n7", hash=-2, type_code=1).sign(KEY).to_bytes()),
    ],
)
def test_the_examples_are_what_the_code_writes(name, written):
    assert written() == examples()[name]


def test_the_examples_are_read_back():
    found = examples()
    assert len(found) == 8
    large = Payload.parse(found["chunks"] + bytes(2**20 + 1))
    large.verify()
    assert large.sums == found["chunks"][0x41:0x49]
    assert decode(Payload.parse(found["bytes"])) == b"hello"
    memory = decode(Payload.parse(found["memory"]))
    assert (memory.tolist(), memory.readonly) == ([1, 2], False)
    signed = Payload.parse(found["signed"])
    signed.verify()
    signed.verify_signature(KEY)
    assert Reference.from_bytes(URI, found["reference"]).nbytes == 300
    Reference.from_bytes(URI, found["signed reference"]).verify(KEY)
    provided = Reference.from_bytes("s3://bucket", found["provided reference"])
    assert (provided.protocols, provided.provider) == (0x11E, "psk-connector-s3")


def number(value):
    """Write an unsigned LEB128."""
    low, rest = value & 0x7F, value >> 7
    return bytes([low | 0x80]) + number(rest) if rest else bytes([low])


def text(value):
    return bytes([len(value)]) + value.encode()


FIELDS = {
    "nbytes": (1, 300, number),
    "checksum": (2, 0xAFD3E56D, lambda value: struct.pack("<I", value)),
    "hash": (4, -2, lambda value: struct.pack("<q", value)),
    "protocols": (128, 0x11E, number),
    "provider": (256, "psk-connector-s3", text),
}


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize("where", ["", "n7"])
@pytest.mark.parametrize("chosen", [[], *([field] for field in FIELDS), list(FIELDS)], ids=str)
def test_a_second_writer_of_references_agrees(chosen, where, signed):
    flags = sum(FIELDS[field][0] for field in chosen) | (8 if where else 0) | (16 if signed else 0) | 32
    body = struct.pack("<BHB", 1, flags, 5) + ID
    body += b"".join(write(value) for _, value, write in map(FIELDS.get, chosen))
    body += (text(where) if where else b"") + (text("demo") if signed else b"")
    covered = URI.encode() + b"\0" + body
    if signed:
        body += hmac.new(SECRET, b"psk reference 1\0" + covered, hashlib.sha256).digest()[:16]
    else:
        body += struct.pack("<I", zlib.crc32(covered))
    options = {field: FIELDS[field][1] for field in chosen}
    reference = Reference(URI, f"{ID.hex()}@{where}" if where else ID.hex(), evict=True, type_code=5, **options)
    assert (reference.sign(KEY) if signed else reference).to_bytes() == body
    found = Reference.from_bytes(URI, body)
    assert {field: getattr(found, field) for field in chosen} == options


def test_an_expiring_file_is_what_the_file_connector_writes(tmp_path, monkeypatch):
    connector = FileConnector(tmp_path)
    monkeypatch.setattr(ServerClock, "now", lambda *_: 1_999_999_000 * 10**9)
    connector.put(encode(b"hello", object_id=ID), ttl=1000)
    assert (tmp_path / ID.hex()).read_bytes() == examples()["expiring"]
    connector.close()


LARGE = [b"12345678" * 2**18 + b"9", b"x" * 2**20, bytes(100)]


def write_by_the_document(codec, frames, *, revision, expires, signed):
    """Write a signed or unsigned payload with nothing but the document's table at hand."""
    key_name = b"demo" if signed else b""
    body = b""
    for frame in frames:
        body += bytes(-len(body) % 64) + frame
    chunks = [frame[at : at + 2**20] for frame in frames for at in range(0, len(frame), 2**20)]
    sums = b"".join(struct.pack("<I", zlib.crc32(chunk)) for chunk in chunks) if len(body) > 2**20 else b""
    used = 48 + len(codec) + len(key_name) + 8 * len(frames) + len(sums) + (32 if signed else 0)
    block_size = -(-used // 64) * 64
    flags = 1 | (2 if signed else 0) | (4 if expires else 0)

    def whole(mac, checksum):
        block = b"\x93PSK" + bytes([1, flags, len(codec), len(key_name)]) + ID
        block += struct.pack("<QIIII", block_size + len(body), len(frames), revision, len(sums) // 4, checksum)
        block += codec + key_name + b"".join(struct.pack("<Q", len(frame) | 1 << 63) for frame in frames) + sums + mac
        return block.ljust(block_size, b"\0") + body

    mac = b""
    if signed:
        mac = hmac.new(SECRET, b"psk payload 1\0" + whole(bytes(32), 0), hashlib.sha256).digest()
    without = whole(mac, 0)[: block_size if sums else None]
    return whole(mac, zlib.crc32(without[:44], zlib.crc32(without[48:])))


@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(
    "frames", [[], [b""], [b"a" * 64], [b"a", b"", b"b" * 200], [b"x"] * 40, LARGE, [b"x", *LARGE, b""]], ids=len
)
@pytest.mark.parametrize("codec", ["x", "bytearray", "c" * 32])
def test_a_second_writer_agrees(codec, frames, signed):
    expected = Payload.build(
        codec, frames, object_id=ID, revision=3, expires=signed, signing_key=KEY if signed else None
    ).tobytes()
    written = write_by_the_document(codec.encode(), frames, revision=3, expires=signed, signed=signed)
    assert written == expected
    parsed = Payload.parse(written)
    parsed.verify()
    assert [bytes(view) for view in parsed.frame_views()] == frames
    assert (parsed.revision, parsed.expires, parsed.codec) == (3, signed, codec)
    if signed:
        parsed.verify_signature(KEY)


def test_the_tables_name_every_codec_and_limit():
    text = DOCUMENT.read_text()
    own = [name for name in codecs._by_name if not name.startswith("test-")]
    for name in (*own, codecs.PRIVATE_CODEC):
        assert f"`{name}`" in text
    assert f"at most {header.MAXIMUM_FRAMES:,}" in text
    assert f"At most {header.MAXIMUM_CHUNKS:,}" in text
    assert f"chunks of {header.CHUNK_BYTES:,} bytes" in text
    assert register_codec.__name__ in text
