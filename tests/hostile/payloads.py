"""Payloads of an attacker who can write to a channel but has no key."""

from __future__ import annotations

import itertools
import os

from hostile.forgery import payload, places, resummed
from hostile.gadgets import gadgets
from hostile.opcodes import nested

#: Names where a codec's belongs: other things that have names, and what no name may be.
CODEC_NAMES = (
    *(b"pickle", b"cloudpickle", b"bytes", b"bytearray", b"str", b"memory", b"torch", b"private", b"arrow"),
    *(b"kind=pickle", b"codec.pickle", b"codec.canary", b"canary", b"connector.canary", b"connector.redis"),
    *(b"os", b"os.system", b"builtins.eval", b"psk.wire.pickling", b"pickle.loads", b"__import__", b"subprocess"),
    *(b"pickle:PICKLE", b"os:system", b"hostile_canary_module", b"..", b"../pickle", b"/etc/passwd", b"./x"),
    *(b"PICKLE", b"pickle ", b" pickle", b"pickle\n", b"pickle\0", b"pic\0kle", b"%s", b"{0}", b"$(id)", b"`id`"),
    *("pi\u0441kle".encode(), "\uff50ickle".encode(), b"\xff" * 8, "\u202epickle".encode(), "pickle\u200b".encode()),
    *(b"", b"a" * 32, b"a" * 33, b"a" * 255, b"-", b".", b"_", b"*", b"codec.*", b"none", b"null", b"any", b"raw"),
)
KEY_NAMES = (
    b"team",
    b"other",
    b"absent",
    b"../team",
    b".team",
    b"t" * 64,
    b"t" * 65,
    b"TEAM",
    b"team\0",
    b"/etc/passwd",
)


def dressings(world, stream, buffers, random):
    """Give the ways to present a pickle as a payload, by name: each a function that gives key and bytes."""
    honest_key, honest = world.put_honestly()
    other_key, _ = world.put_honestly()
    mac_place, body_place = places(honest)
    mine = random.randbytes(16)
    codecs = [codec for codec in CODEC_NAMES if codec not in world.allowed_imports]
    frames = [stream, *buffers]
    options = {"object_id": mine, "checksum": random.random() < 0.5}
    signed = options | {"key_name": b"team"}
    mac = honest[mac_place : mac_place + 32].ljust(32)

    def made(**changes):
        return lambda: (mine.hex(), payload(frames, **changes))

    def changed(at, new):
        return lambda: (honest_key, resummed(honest[:at] + new + honest[at + len(new) :]))

    flipped = random.choice([at for at in range(8, len(honest)) if not 44 <= at < 48])  # not in the checksum itself
    vast = random.choice((1 << 20, 1 << 32, 1 << 48, (1 << 63) - 1, (1 << 64) - 1))
    return {
        "unsigned": made(**options),
        "unsigned, of another codec": made(**options, codec=random.choice(codecs)),
        "signed with a guess": made(**signed, secret=os.urandom(32)),
        "signed with nothing": made(**signed, secret=b""),
        "signed with a known key's name": made(**options, key_name=b"other", secret=random.randbytes(16)),
        "signed with some key's name": made(**options, key_name=random.choice(KEY_NAMES), secret=b"x" * 16),
        "signed, of another codec": made(**signed, secret=b"x" * 16, codec=random.choice(codecs)),
        "signature of zeros": made(**signed, mac=bytes(32)),
        "signature of an honest object": made(**signed, mac=mac),
        "signature cut off": made(**signed, mac=mac[:16]),
        "flag of the signature cleared": made(**signed, mac=mac, clear=2),
        "flag without a signature": made(**options, flags=2),
        "honest header before a gadget": lambda: (honest_key, resummed(honest[:body_place] + stream)),
        "honest signature stripped": lambda: (honest_key, payload(frames, object_id=bytes.fromhex(honest_key))),
        "replayed under another key": lambda: (other_key, honest),
        "replayed under a new key": lambda: (mine.hex(), honest),
        "codec of an honest object changed": changed(48, b"memory" if honest[48:54] == b"pickle" else b"pickle"),
        "version raised": changed(4, bytes((random.choice((0, 2, 3, 255)),))),
        "flags raised": changed(5, bytes((random.choice((2, 4, 8, 128, 255)),))),
        "names lengthened": changed(6, bytes((random.choice((0, 33, 200, 255)), random.choice((0, 4, 65, 255))))),
        "revision raised": changed(36, b"\x01"),
        "reserved bytes used": changed(40, random.randbytes(4)),
        "bit flipped": changed(flipped, bytes((honest[flipped] ^ 1 << random.randrange(8),))),
        "another magic": made(**options, magic=random.choice((b"\x80\x05PS", b"PK\3\4", b"\x7fELF", bytes(4)))),
        "vast size": made(**options, nbytes=vast % (1 << 64)),
        "vast frame": made(**options, sizes=[vast % (1 << 63)] * len(frames)),
        "vast number of frames": made(**options, count=random.choice((65_537, 1 << 20, (1 << 32) - 1))),
        "many empty frames": made(**options | {"checksum": False}, sizes=[0] * 65_536, count=65_536),
        "frames that overlap": made(**options, sizes=[len(stream), len(stream)], count=2),
        "vast revision": made(**options, revision=(1 << 32) - 1, key_name=b"team", mac=bytes(32)),
        "padding used": made(**options, padding=0x41),
        "wrong checksum": made(**signed | {"checksum": 12345}, secret=b"x" * 16),
        "frame flag cleared": changed(mac_place - 1, b"\0"),
        "truncated": lambda: (honest_key, honest[: random.randrange(len(honest))]),
        "extended": lambda: (honest_key, resummed(honest + stream)),
        "a bare pickle": lambda: (mine.hex(), stream),
        "nothing": lambda: (mine.hex(), b""),
    }


def dressed(world, random, gadget, dressing):
    """Give one payload as (name, key, bytes), its gadget hidden somewhere in its object."""
    stream = nested(gadgets(world.canary, random)[gadget], random)
    buffers = (
        [f"open({world.canary.path!r}, 'w').close()\n".ljust(8192).encode()]
        if gadget.startswith("out of band") or random.random() < 0.2
        else []
    )
    key, forged = dressings(world, stream, buffers, random)[dressing]()
    return f"{gadget}, {dressing}", key, forged


def hostile_payloads(world, random, count):
    """Give `count` payloads at least: each gadget and each dressing at least once, mated by chance."""
    made = []
    while len(made) < count:
        kinds, ways = list(gadgets(world.canary, random)), list(dressings(world, b"", [], random))
        random.shuffle(kinds)
        random.shuffle(ways)
        pairs = zip(kinds, itertools.cycle(ways)) if len(kinds) > len(ways) else zip(itertools.cycle(kinds), ways)
        made += [dressed(world, random, gadget, dressing) for gadget, dressing in pairs]
    return made
