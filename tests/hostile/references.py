"""Forged proxies that try to make their reader open, connect to, import or allocate something."""

from __future__ import annotations

from hostile.forgery import reference, summed

HOSTS = "{host}:{port}"
#: Where a URI may lead a careless reader; {host}, {port}, {path} and {own} are filled in.
URIS = (
    *(f"{scheme}://{HOSTS}" for scheme in ("http", "https", "ftp", "tcp", "ws", "ssh", "ldap", "telnet", "s3", "grpc")),
    *(f"{scheme}://{HOSTS}" for scheme in ("redis", "rediss", "valkey", "keydb", "ucx", "zmq", "margo", "endpoint")),
    *(f"{scheme}://{HOSTS}/x" for scheme in ("canary", "canary+unix", "CANARY", "connector.canary", "codec.canary")),
    *("redis+unix://{path}", "unix://{path}", "canary:///", "canary://", "daos://pool/container", "globus://x"),
    *(
        "python://os:system",
        "os.system://x",
        "builtins.eval://1",
        "psk.connectors.file://x",
        "hostile_canary_module://",
    ),
    *(
        "import://hostile_canary_module",
        "pickle://x",
        "data://text",
        "javascript://x",
        "exec://{path}",
        "system://{path}",
    ),
    *("file://{path}", "file:///", "file:///etc", "file:///proc/self/fd", "file:///dev/shm", "file://{host}/{path}"),
    *(
        "{own}/../elsewhere",
        "{own}/./",
        "{own}/%2e%2e/elsewhere",
        "{own}/%252e%252e/elsewhere",
        "{own}%2f..%2felsewhere",
    ),
    *(
        "{loud}",
        "{loud}?durability=host",
        "{own}?timeout=600",
        "{own}//",
        "{own}/",
        "{own}2",
        "{own}%00",
        "{own}%0a",
        "{own}?durability=disk&durability=host",
        "{own}#fragment",
    ),
    *("{own}?timeout=nan", "{own}?timeout=1e999", "{own}?timeout=-1", "{own}?path={path}", "{own}?scheme=canary"),
    *("{own}?x=../../etc", "{own}?codec=pickle", "{own}?signing=optional", "{own}?trusted=*", "{own}?kind=canary"),
    *("multi://a?to1=canary:%2F%2F{host}:{port}", "multi://a,b?to1={quoted}&to2=canary:%2F%2F{host}:{port}"),
    *("multi://a?to1=multi:%2F%2Fb%3Fto1%3Dcanary:%252F%252F{host}:{port}", "multi://", "multi://a", "multi://a?to1="),
    *("multi://a?to1={quoted}&host1=(a%2B)%2B$", "multi://a?to1={quoted}&to2={quoted}", "multi://../x?to1={quoted}"),
    *("redis://user:secret@{host}:{port}", "canary://user:secret@{host}:{port}/", "file://user:secret@{path}"),
    *("canary://{host}:0", "canary://{host}:99999", "canary://[::1]:{port}", "canary://{host},{host}:{port}/"),
    *("canary://ex\u0430mple:{port}", "\uff46ile://{path}", "file\u200b://{path}", "canary://{host}:{port}\u2028/"),
    *(
        "canary://{host}:{port}\n",
        "canary://{host}:{port}\0",
        "\x1b]0;x\x07file://{path}",
        "file://{path}\x7f",
        "\u202efile://",
    ),
    *(
        "",
        " ",
        ":",
        "://",
        "file:",
        "file:/x",
        "//host/x",
        "/etc/passwd",
        "C:\\x",
        "\\\\host\\share",
        "shm://",
        "local://x",
    ),
    *(
        "shm://../../etc",
        "shm:///dev/shm/x",
        "shm://%2e%2e%2fx",
        "f" * 33 + "://x",
        "file:///" + "a" * 5000,
        "{own}" + "a" * 1500,
    ),
)
#: What is no text at all, where a URI belongs.
NO_TEXTS = (None, 3, b"file:///x", ["file:///x"], ("canary://x",), {"scheme": "canary"}, object(), float("nan"), type)


class Text(str):
    """A text with a will of its own, as a pickle may make them."""

    __slots__ = ()

    def isprintable(self):
        return True

    def __len__(self):
        return 1


class Body(bytes):
    """Bytes with a will of their own."""

    __slots__ = ()

    def __len__(self):
        return 20


def bodies(world, uri, random):
    """Give the ways to write the rest of a reference, by name."""
    key, honest = world.refer_honestly()
    mine = random.choice((random.randbytes(16), bytes.fromhex(random.choice(world.planted))))
    # Where unsigned references are believed, one may say that its object is still to come: a minute's wait.
    flags = random.choice((0, 32, 32 if world.raw else 64 | 32, 7))
    filled = {7: b"\x01" + random.randbytes(12)}.get(flags, b"")
    plain = {"object_id": mine, "flags": flags, "rest": filled, "type_code": random.randrange(256)}
    signed = plain | {"key_name": b"team"}
    name = random.choice((b"absent", b"../team", b".team", b"", b"t" * 65, b"/etc/passwd", b"\xff", b"other"))
    where = random.choice((b"../../x", b"a/b", b"\0", b"x" * 64, b"", b"\xff", b"x y", b"~\n"))

    def changed(body):
        """Complete an honest body that was changed: without a signature, its checksum is anybody's to write."""
        return summed(world.uri, body[:-4]) if not body[1] & 16 else body

    return {
        "unsigned": reference(uri, **plain),
        "unsigned, of an honest object": reference(uri, bytes.fromhex(key)),
        "signed with a guess": reference(uri, **signed, secret=random.randbytes(32)),
        "signed with zeros": reference(uri, **signed, mac=bytes(16)),
        "signed with another's name": reference(uri, **plain, key_name=name or b"x", secret=b"x" * 16),
        "honest, for another channel": honest if uri != world.uri else reference(uri, **plain),
        "honest, for another object": changed(honest[:4] + mine + honest[20:]),
        "honest, with flags": changed(
            honest[:1] + bytes((honest[1] ^ random.choice((32, 32 | 128) if world.raw else (32, 64, 96)),)) + honest[2:]
        ),
        "honest, stripped": reference(uri, bytes.fromhex(key), clear=16),
        "flag without a signature": reference(uri, **plain | {"flags": 16, "rest": b""}),
        "signature cut": reference(uri, **signed, mac=bytes(random.randrange(16))),
        "signature extended": reference(uri, **signed, mac=bytes(17)),
        "another version": reference(uri, **plain, version=random.choice((0, 2, 255))),
        "unknown flags": reference(uri, **plain | {"flags": random.choice((1 << 10, 1 << 15, 0xFFFF)), "rest": b""}),
        "vast size": reference(uri, **plain | {"flags": 1, "rest": b"\xff" * 8 + b"\x7f"}),
        "endless size": reference(uri, **plain | {"flags": 1, "rest": b"\xff" * 40}),
        "long form of a size": reference(uri, **plain | {"flags": 1, "rest": b"\x81\x80\x00"}),
        "a place": reference(uri, **plain | {"flags": 8, "rest": bytes((len(where),)) + where}),
        "a place beyond the end": reference(uri, **plain | {"flags": 8, "rest": b"\xff" + b"x"}),
        "truncated": honest[: random.randrange(len(honest))],
        "extended": honest + b"\0",
        "a pickle": b"cos\nsystem\n(S'id'\ntR.",
        "nothing": b"",
        "much": b"\x01" * (1 << 20),
        "no bytes": random.choice((None, 3, "text", bytearray(honest), memoryview(honest), Body(honest))),
    }


#: Of these the rest is well-formed, so that it is the URI that must be refused.
WELL_FORMED = (
    *("unsigned", "unsigned, of an honest object", "signed with a guess", "signed with zeros"),
    *("honest, for another channel", "honest, stripped"),
)


def hostile_references(world, random, count):
    """Give `count` references as (name, URI, body): each URI with a well-formed body, and each body for the channel."""
    canary, quoted = world.canary, world.uri.replace("/", "%2F")
    names = {"host": canary.host, "port": canary.port, "path": canary.path, "own": world.uri, "quoted": quoted}
    names["loud"] = f"FILE{world.uri[4:]}"
    uris = [*(uri.format(**names) for uri in URIS), *NO_TEXTS, Text(f"canary://{canary.host}:{canary.port}")]
    made = []
    while len(made) < count:
        for uri in uris:
            name = random.choice(WELL_FORMED)
            body = bodies(world, str(uri), random)[name]
            made.append((f"{uri!r:.60}, {name}", uri, body))
        own = bodies(world, world.uri, random)
        made += [(f"its own channel, {name}", world.uri, body) for name, body in own.items()]
    random.shuffle(made)
    return made
