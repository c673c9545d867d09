"""Route each object by size, tags and host to a channel, and find it there again."""

import resource
import signal

import pytest

from psk.connectors import Frames, format_uri
from psk.connectors.file import FileConnector
from psk.connectors.local import LocalConnector
from psk.connectors.multi import MultiConnector, Policy
from psk.errors import (
    ChannelFullError,
    ChannelUnavailableError,
    ConnectorConfigError,
    ConnectorError,
    InvalidArgumentError,
    InvalidKeyError,
    UnknownConnectorError,
)
from psk.wire import encode, new_object_id

SMALL, LARGE = 100, 10_000


@pytest.fixture
def routed():
    """Make a multi connector of local channels, by name and policy."""
    made = []

    def routed(**policies):
        made.append(MultiConnector({name: (LocalConnector(), policy) for name, policy in policies.items()}))
        return made[-1]

    yield routed
    for multi in made:
        multi.clear()
        multi.close()


def name_in(key):
    return key.partition("@")[2]


@pytest.mark.parametrize(
    ("policies", "size", "hints", "chosen"),
    [
        ({"a": Policy(), "b": Policy()}, SMALL, None, "a"),
        ({"b": Policy(), "a": Policy()}, SMALL, None, "b"),
        ({"a": Policy(), "b": Policy(1)}, SMALL, None, "b"),
        ({"a": Policy(-1), "b": Policy()}, SMALL, {}, "b"),
        ({"a": Policy(1, max_size_bytes=1000), "b": Policy()}, SMALL, None, "a"),
        ({"a": Policy(1, max_size_bytes=1000), "b": Policy()}, LARGE, None, "b"),
        ({"a": Policy(1, min_size_bytes=1000), "b": Policy()}, SMALL, None, "b"),
        ({"a": Policy(1, min_size_bytes=1000), "b": Policy()}, LARGE, None, "a"),
        ({"a": Policy(), "b": Policy(subset_tags=["x", "y"])}, SMALL, {"subset_tags": ["x"]}, "b"),
        ({"a": Policy(1, subset_tags=["x"]), "b": Policy()}, SMALL, None, "a"),
        ({"a": Policy(1, superset_tags=["x"]), "b": Policy()}, SMALL, None, "b"),
        ({"a": Policy(1, superset_tags=["x"]), "b": Policy()}, SMALL, {"superset_tags": ("x", "y")}, "a"),
        ({"a": Policy(1, superset_tags=["x"]), "b": Policy()}, SMALL, {"superset_tags": {"y"}, "other": 1}, "b"),
        ({"a": Policy(9, host_pattern="elsewhere"), "b": Policy()}, SMALL, None, "b"),
        ({"a": Policy(host_pattern=["elsewhere", ".*"]), "b": Policy()}, SMALL, None, "a"),
    ],
)
def test_an_object_goes_to_the_first_that_takes_it(routed, policies, size, hints, chosen):
    multi = routed(**policies)
    key = multi.put(encode(b"x" * size), hints=hints)
    assert name_in(key) == chosen
    assert multi.exists(key)
    assert list(multi.keys()) == [key]


def test_an_object_that_nobody_takes_names_every_policy(routed):
    multi = routed(a=Policy(max_size_bytes=10), b=Policy(superset_tags=["x"]))
    for call in (lambda: multi.put(encode(b"x" * 50)), lambda: multi.put_batch([encode(b"x" * 50)])):
        with pytest.raises(ConnectorError) as caught:
            call()
        assert "a: Policy(max_size_bytes=10)" in str(caught.value)
        assert "b: Policy(superset_tags=('x',))" in str(caught.value)
        assert caught.value.remedy
    with pytest.raises(ConnectorError, match="of unknown size"):
        routed(b=Policy(superset_tags=["x"])).reserve(new_object_id())


@pytest.mark.parametrize("tags", ["text", 7, [7], [""]])
def test_senseless_tags_are_refused(routed, tags):
    multi = routed(a=Policy())
    for name in ("subset_tags", "superset_tags"):
        with pytest.raises(InvalidArgumentError, match=name):
            multi.put(encode(1), hints={name: tags})


@pytest.mark.parametrize(
    ("policies", "chosen"),
    [
        ({"a": Policy(), "b": Policy(1)}, "b"),
        ({"a": Policy(1, max_size_bytes=100), "b": Policy()}, "b"),
        ({"a": Policy(1, min_size_bytes=100), "b": Policy()}, "b"),
        ({"a": Policy(1, max_size_bytes=100), "b": Policy(min_size_bytes=101)}, "b"),
        ({"a": Policy(max_size_bytes=200), "b": Policy(max_size_bytes=100)}, "a"),
    ],
)
def test_a_reserved_object_goes_where_every_size_does(routed, policies, chosen):
    assert name_in(routed(**policies).reserve(new_object_id())) == chosen


def test_what_finds_no_room_goes_to_the_next(tmp_path, decoded):  # C20
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    spilling = MultiConnector({"a": (FileConnector(tmp_path), Policy(1)), "b": LocalConnector()})
    alone = MultiConnector({"a": FileConnector(tmp_path)})
    resource.setrlimit(resource.RLIMIT_FSIZE, (5000, limit[1]))
    try:
        key = spilling.put(encode(b"x" * 10_000))
        with pytest.raises(ChannelFullError):
            alone.put(encode(b"x" * 10_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, ignored)
    assert name_in(key) == "b"
    assert decoded(spilling.get(key)) == b"x" * 10_000
    assert list(alone.keys()) == []
    spilling.clear()
    spilling.close()
    alone.close()


def test_a_key_without_a_name_is_looked_for_in_each(routed, decoded):
    multi = routed(a=Policy(), b=Policy(subset_tags=["b"]))
    payload = encode("there")
    key = multi.put(payload, hints={"subset_tags": ["b"]})
    assert name_in(key) == "b"
    assert decoded(multi.get(payload.key)) == "there"
    assert multi.exists(payload.key)
    assert multi.renew(payload.key, 100)
    assert multi.take(payload.key, "me") is not None
    assert multi.take(payload.key, "you") is None
    assert bytes(multi.get_range(payload.key, 0, 4)) == b"\x93PSK"
    assert len(multi.get_range(payload.key, 9999, 4)) == 0
    assert multi.wait([payload.key], timeout=0) == [payload.key]
    assert multi.exists_batch([payload.key, key]) == [True, True]
    multi.swap(payload.key, encode("new", object_id=payload.object_id, revision=1))
    assert decoded(multi.get(key)) == "new"
    multi.evict(payload.key)
    assert not multi.exists(key)
    other = encode("other")
    multi.fulfil(other.key, other)
    assert name_in(next(iter(multi.keys()))) == "a"


def test_a_key_that_names_no_channel_of_these_is_refused(routed):  # C3
    multi = routed(here=Policy())
    for where in ("there", "there~x", "here~", "her", "~here", "here@x"):
        with pytest.raises(InvalidKeyError):
            multi.get(f"{'0' * 32}@{where}")
    with pytest.raises(InvalidKeyError, match="found: here"):
        multi.get(f"{'0' * 32}@there")


class Places(LocalConnector):
    """A channel whose keys all name a place."""

    __slots__ = ("place",)

    def put(self, payload, **options):
        return f"{super().put(payload, **options)}@{self.place}"

    def get(self, key, **options):
        if not key.endswith(f"@{self.place}"):
            raise InvalidKeyError("the key names no place")
        return super().get(key[:32], **options)

    def evict(self, key, **options):
        super().evict(key[:32], **options)


def test_a_channel_with_places_keeps_its_own(decoded):  # C1
    placed = Places()
    placed.place = "host:7+tcp~a@b"
    multi = MultiConnector({"near": (placed, Policy(max_size_bytes=200)), "far": LocalConnector()})
    key = multi.put(encode("x"))
    assert key[32:] == "@near~host:7+tcp~a@b"
    assert decoded(multi.get(key)) == "x"
    assert multi.get("0" * 32) is None
    payload = encode(b"y" * 500)
    multi.put(payload)
    assert decoded(multi.get(payload.key)) == b"y" * 500
    placed.place = "x" * 60
    with pytest.raises(InvalidKeyError, match="too long"):
        multi.put(encode("taken back"))
    assert len(list(placed.keys())) == 1  # C11
    multi.clear()
    multi.close()


def test_an_unknown_channel_hides_no_object_and_feigns_no_absence(decoded):
    multi = MultiConnector({"gone": "ucx://host", "here": LocalConnector()})
    payload = encode("here")
    multi._routes.children[1].connector().put(payload)
    assert decoded(multi.get(payload.key)) == "here"
    with pytest.raises(UnknownConnectorError, match="no connector for 'ucx' is installed here"):
        multi.get("0" * 32)
    with pytest.raises(UnknownConnectorError):
        multi.put(encode(1))
    assert multi.durabilities == ("volatile",)
    with pytest.raises(UnknownConnectorError):
        multi.clear()
    multi.evict(f"{payload.key}@here")
    multi.close()


def test_given_channels_are_closed_with_it():
    local = LocalConnector()
    MultiConnector({"a": local}).close()
    with pytest.raises(ConnectorError, match="closed"):
        local.put(encode(1))


def test_a_failed_start_closes_only_what_it_opened(tmp_path):
    local = LocalConnector("given")
    opened = []

    def open_child(uri):
        opened.append(FileConnector(tmp_path))
        return opened[-1]

    with pytest.raises(ConnectorConfigError):
        MultiConnector({"a": local, "b": "new://", "C": local}, open_child=open_child)
    with pytest.raises(ConnectorConfigError):
        MultiConnector({"a": local, "b": "new://", "c": "not a uri"}, open_child=open_child)
    assert len(opened) == 1
    with pytest.raises(ConnectorError, match="closed"):
        opened[0].put(encode(1))
    assert isinstance(local.get(local.put(encode(1))), Frames)
    local.clear()
    local.close()


@pytest.mark.parametrize(
    "connectors",
    [
        {},
        None,
        ["local://x"],
        {"": "local://x"},
        {"Upper": "local://x"},
        {"x" * 17: "local://x"},
        {7: "local://x"},
        {"a": None},
        {"a": ("local://x",)},
        {"a": ("local://x", "policy")},
        {"a": "no uri"},
        {"a": "redis://user:secret@host"},
        {"a": "multi://b?to1=local://x"},
        {"a": MultiConnector({"b": "file:///x"})},
        {"a": "file:///" + "x" * 1500, "b": "file:///" + "x" * 1500},
    ],
)
def test_senseless_channels_are_refused(connectors):
    with pytest.raises(ConnectorConfigError) as caught:
        MultiConnector(connectors)
    assert "secret" not in str(caught.value)  # C12
    assert len(str(caught.value)) < 400


def test_a_directory_that_fails_is_an_error_only_where_it_is_used(tmp_path, decoded):
    (tmp_path / "file").write_text("no directory")
    multi = MultiConnector(
        {"bad": (f"file://{tmp_path}/file/objects", Policy(min_size_bytes=1000)), "good": LocalConnector()}
    )
    key = multi.put(encode("small"))
    assert decoded(multi.get(key)) == "small"
    with pytest.raises(ChannelUnavailableError):
        multi.put(encode(b"x" * 1000))
    assert format_uri(multi.config()).startswith("multi://bad,good?min1=1000&to1=file:///")
    multi.evict(key)
    multi.close()
