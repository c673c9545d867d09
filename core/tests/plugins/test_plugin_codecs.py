"""A plug-in's codec is found by its name in payloads, and never where bytes from outside may choose none."""

import pytest

CODEC = """
    print('"their_codec was imported"')
    from psk.wire import Codec
    from their_types import Point
    CODEC = Codec("point", lambda point: [repr((point.x, point.y)).encode()],
                  lambda frames: Point(*map(int, bytes(frames[0]).strip(b"()").split(b","))), raw=True)
    WRONG_NAME = Codec("other", list, list)
    NO_CODEC = 7
"""
TYPES = """
    class Point:
        def __init__(self, x, y): self.x, self.y = x, y
        def __eq__(self, other): return (self.x, self.y) == (other.x, other.y)
        __hash__ = None
"""
PLUGIN = """
    from psk.plugins import CodecPlugin, hookimpl
    @hookimpl
    def psk_codecs():
        return [
            CodecPlugin("point", target="their_codec:CODEC", types=["their_types:Point", "builtins:str", "absent:X"]),
            CodecPlugin("wrong-name", target="their_codec:WRONG_NAME"),
            CodecPlugin("no-codec", target="their_codec:NO_CODEC"),
        ]
"""
IMPORTED = "their_codec was imported"
REDUCING = """
    from psk.plugins import CodecPlugin, hookimpl
    @hookimpl
    def psk_codecs():
        return [CodecPlugin("point", target="their_codec:CODEC", reducers={"their_types": "their_reducers:REDUCERS"})]
"""
REDUCERS = """
    import their_types
    def rebuild(x, y): return their_types.Point(x, y)
    REDUCERS = {their_types.Point: lambda point: (rebuild, (point.x, point.y))}
"""


LIGHT = "from psk.wire import Codec\nCODEC = Codec('point', lambda point: [b'x'], lambda frames: 1)"


def add_reducers(site, reducers):
    modules = {"their_plugin": REDUCING, "their_codec": LIGHT, "their_types": TYPES, "their_reducers": reducers}
    site.add("their-codec", {"codec.point": "their_plugin"}, modules)


@pytest.fixture
def their_codec(site):
    names = {f"codec.{name}": "their_plugin" for name in ("point", "wrong-name", "no-codec")}
    site.add("their-codec", names, {"their_plugin": PLUGIN, "their_codec": CODEC, "their_types": TYPES})
    return site


def test_a_payload_is_decoded_by_the_plugin_that_it_names(their_codec, tmp_path):
    write = f"""
        from their_types import Point
        with psk.Store.from_uri("file://{tmp_path}/objects", serializer="point") as store:
            say(store.put(Point(3, 4)))
    """
    imported, key = their_codec.run(write)
    read = f"""
        with psk.Store.from_uri("file://{tmp_path}/objects") as store:
            say("their_codec" in sys.modules)
            say(vars(store.get({key!r})))
            say(vars(store.get({key!r})), listed()["codec.point"])
    """
    assert imported == IMPORTED
    assert their_codec.run(read) == [False, IMPORTED, {"x": 3, "y": 4}, [{"x": 3, "y": 4}, "ok"]]


def test_where_only_raw_codecs_may_decode_no_payload_loads_a_plugin(their_codec):
    program = """
        from psk.wire import Payload, decode, find_codec
        payload = Payload.build("point", [b"(1, 2)"])
        say(error_of(lambda: decode(payload, allowed="raw")))
        with psk.Store.from_uri("local://raw", codecs="raw") as store:
            key = store.connector.put(payload)
            say(error_of(lambda: store.get(key)))
            say("their_plugin" in sys.modules)
            find_codec("point")
            say(vars(store.get(key)))
            store.clear()
    """
    refused, in_a_store, imported, _, found = their_codec.run(program)
    assert refused[0] == in_a_store[0] == "CodecError"
    assert "point" in refused[1]
    assert not imported
    assert found == {"x": 1, "y": 2}


def test_its_types_are_encoded_unasked_once_it_is_loaded(their_codec):
    program = """
        from psk.wire import codec_for, encode, find_codec
        import their_types
        say(codec_for(their_types.Point(1, 2)).name)
        find_codec("point")
        say(codec_for(their_types.Point(1, 2)).name, codec_for("text").name, codec_for([]).name)
        say(encode(their_types.Point(1, 2)).codec)
    """
    assert their_codec.run(program) == ["pickle", IMPORTED, ["point", "str", "pickle"], "point"]


def test_types_that_come_later_are_noticed_and_never_imported(site):
    plugin = PLUGIN.replace('"their_codec:CODEC"', '"their_light:CODEC"')
    modules = {"their_plugin": plugin, "their_light": LIGHT, "their_types": TYPES}
    site.add("their-codec", {"codec.point": "their_plugin"}, modules)
    program = """
        from psk.wire import codec_for, find_codec
        find_codec("point")
        say(codec_for([]).name, "their_types" in sys.modules)
        import their_types
        say(codec_for(their_types.Point(1, 2)).name)
    """
    assert site.run(program) == [["pickle", False], "point"]


def test_its_reducers_serve_pickles_once_it_is_loaded(site):
    add_reducers(site, REDUCERS)
    program = """
        from psk.wire import decode, encode, find_codec
        import their_types
        points = [their_types.Point(1, 2)]
        say("their_reducers" in sys.modules, b"their_reducers" in encode(points).tobytes())
        find_codec("point")
        payload = encode(points)
        say(payload.codec, b"their_reducers" in payload.tobytes(), decode(payload) == points)
    """
    assert site.run(program) == [[False, False], ["pickle", True, True]]


def test_its_reducers_are_not_imported_before_their_library(site):
    add_reducers(site, REDUCERS)
    program = """
        from psk.wire import encode, find_codec
        find_codec("point")
        encode([1])
        say("their_types" in sys.modules, "their_reducers" in sys.modules)
        import their_types
        encode([1])
        say("their_reducers" in sys.modules)
    """
    assert site.run(program) == [[False, False], True]


def test_reducers_that_cannot_be_imported_are_reported_and_do_no_harm(site):
    add_reducers(site, "raise RuntimeError('broken')")
    program = """
        from psk.wire import decode, encode, find_codec
        sys.unraisablehook = lambda report: say(report.object, str(report.exc_value))
        import their_types
        find_codec("point")
        for _ in range(2):
            say(decode(encode([their_types.Point(1, 2)])) == [their_types.Point(1, 2)])
    """
    assert site.run(program) == [["their_reducers:REDUCERS", "broken"], True, True]


@pytest.mark.parametrize("name", ["wrong-name", "no-codec"])
def test_what_is_no_codec_of_that_name_is_refused(their_codec, name):
    program = f"""
        from psk.wire import find_codec
        say(error_of(lambda: find_codec({name!r})))
    """
    kind, message = their_codec.run(program)[-1]
    assert kind == "BrokenPluginError"
    assert message.startswith(f"plug-in codec.{name} of their-codec 1.0 names ")


def test_a_codec_that_nobody_has_lists_those_there_are(their_codec):
    program = """
        from psk.wire import find_codec
        for name in ("nothing", "../x", "X" * 100, "os:system"):
            say(error_of(lambda: find_codec(name)))
    """
    answers = their_codec.run(program)
    assert {kind for kind, _ in answers} == {"CodecError"}
    assert "point" in answers[0][1]
    assert all(len(message) < 300 for _, message in answers)


def test_what_a_process_registers_itself_comes_first(their_codec):
    program = """
        from psk.wire import Codec, find_codec
        psk.register_codec(Codec("point", list, list))
        say(find_codec("point").encode is list, "their_plugin" in sys.modules)
    """
    assert their_codec.run(program) == [[True, False]]


def test_a_plugin_that_is_not_allowed_decodes_nothing(their_codec):
    program = """
        from psk.wire import Payload, decode
        say(error_of(lambda: decode(Payload.build("point", [b"(1, 2)"]))))
    """
    kind, message = their_codec.run(program, PSK_PLUGINS="connector.*")[0]
    assert kind == "PluginNotAllowedError"
    assert "their-codec 1.0" in message


def test_a_forged_payload_on_a_signed_store_loads_no_plugin(their_codec):
    program = """
        from psk.wire import Payload
        psk.set_signing_key("team", "0123456789abcdef0123")
        with psk.Store.from_uri("local://signed", signing_key="team") as store:
            key = store.connector.put(Payload.build("point", [b"(1, 2)"]))
            say(error_of(lambda: store.get(key))[0], "their_plugin" in sys.modules)
            store.clear()
    """
    assert their_codec.run(program) == [["UnsignedError", False]]
