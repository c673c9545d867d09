"""A multi connector has exactly the capabilities its channels share, and they work across channels."""

import select
import threading
import time

import pytest

from psk import Store
from psk.connectors import CAPABILITIES, Connector, SupportsSwap, SupportsWait, SupportsWatch, find_connector
from psk.connectors.file import FileConnector
from psk.connectors.local import LocalConnector
from psk.connectors.multi import MultiConnector, Policy
from psk.errors import (
    CapabilityError,
    ChannelFullError,
    ChannelUnavailableError,
    ConnectorClosedError,
    DeadlineError,
    MissingKeyError,
)
from psk.wire import encode, new_object_id
from psk_testing.timing import timed


@pytest.fixture
def both():
    """Two local channels; what is tagged "b" goes to the second."""
    opened = MultiConnector({"a": LocalConnector(), "b": (LocalConnector(), Policy(subset_tags=["b"]))})
    yield opened
    opened.clear()
    opened.close()


B = {"subset_tags": ["b"]}
NAMES = ["local", "file"]


def powers(connector):
    return {power.__name__ for power in CAPABILITIES if isinstance(connector, power)}


@pytest.mark.parametrize("schemes", [["local"], ["file"], ["local", "local"], ["local", "file"], ["file", "local"]])
@pytest.mark.parametrize("given", ["open", "by uri", "partly unknown"])
def test_it_can_what_all_its_channels_can(tmp_path, schemes, given):  # C39
    alone = {"local": LocalConnector(), "file": FileConnector(tmp_path)}
    uris = {"local": "local://shared", "file": f"file://{tmp_path}"}
    connectors = {f"c{place}": (alone if given == "open" else uris)[scheme] for place, scheme in enumerate(schemes)}
    if given == "partly unknown":
        connectors["unknown"] = "ucx://host"
    multi = MultiConnector(connectors)
    common = set.intersection(*(powers(alone[scheme]) for scheme in schemes))
    assert powers(multi) == common - {"SupportsAsync"}
    assert isinstance(multi, Connector)
    assert isinstance(multi, MultiConnector)
    unknown = given == "partly unknown"
    assert multi.leaves_host == (unknown or "file" in schemes)
    assert multi.in_memory == (not unknown and "file" not in schemes)
    multi.close()
    for connector in alone.values():
        connector.close()


def test_the_class_itself_promises_nothing():
    assert not any(issubclass(find_connector("multi"), power) for power in CAPABILITIES)
    multi = MultiConnector({"unknown": "ucx://host"})
    assert powers(multi) == set()
    multi.close()


def test_durabilities_are_the_common_ones(tmp_path):  # C32
    files, local = FileConnector(tmp_path), LocalConnector()
    alone = MultiConnector({"files": files})
    assert alone.durabilities == files.durabilities
    elsewhere = MultiConnector({"files": files, "local": (local, Policy(host_pattern="elsewhere"))})
    assert elsewhere.durabilities == files.durabilities
    mixed = MultiConnector({"files": files, "local": local})
    assert mixed.durabilities == ("volatile",)
    mixed.close()
    assert mixed.durabilities == ("volatile",)


def test_a_channel_opened_later_may_lack_a_power():  # C39
    class Plain(LocalConnector):
        take = None

    multi = MultiConnector({"a": "ucx://host", "b": LocalConnector()}, open_child=lambda _: Plain())
    with pytest.raises(CapabilityError, match="SupportsTake"):
        multi.take("0" * 32 + "@a", "me")
    multi.close()


def test_a_wait_ends_with_the_first_channel_that_has_an_object(both):  # C42
    for hints in (None, B):
        payloads = [encode(number) for number in range(2)]
        keys = [f"{payloads[0].key}@a", f"{payloads[1].key}@b"]
        arriving = payloads[1 if hints else 0]
        timer = threading.Timer(0.1, both.put, [arriving], {"hints": hints})
        timer.start()
        with timed() as clock:
            assert both.wait(keys, timeout=10) == [keys[1 if hints else 0]]
        assert clock.seconds > 0.05
        assert not clock.late(0.5)
        timer.join()


def test_a_wait_finds_what_several_channels_have(both):  # C42
    keys = [both.put(encode(1)), both.put(encode(2), hints=B)]
    missing = "0" * 32
    assert both.wait([keys[1], missing, keys[0]], timeout=0) == [keys[1], keys[0]]
    assert both.wait([keys[1][:32], missing], timeout=5) == [keys[1][:32]]


def test_a_wait_across_kinds_of_channels_ends_with_either(tmp_path):  # C42
    with MultiConnector({"memory": LocalConnector(), "disk": FileConnector(tmp_path)}) as multi:
        for arriving, channel in enumerate(multi._routes.children):
            payloads = [encode(number) for number in range(2)]
            keys = [f"{payloads[0].key}@memory", f"{payloads[1].key}@disk"]
            timer = threading.Timer(0.1, channel.connector().put, [payloads[arriving]])
            timer.start()
            assert multi.wait(keys, timeout=10) == [keys[arriving]]
            timer.join()
        multi.clear()


def test_a_wait_in_vain_ends_in_time(both):  # C5, C42
    with timed() as clock:
        with pytest.raises(DeadlineError):
            both.wait(["0" * 32 + "@a", "0" * 32 + "@b"], timeout=0.3)
        with pytest.raises(DeadlineError):
            both.wait([], timeout=0.1)
    assert clock.seconds >= 0.4
    assert not clock.late(0.4)


def test_a_wait_says_what_fails(both):
    multi = MultiConnector({"far": "ucx://host", "near": LocalConnector()})
    with pytest.raises(LookupError, match="no connector for 'ucx' is installed here"):
        multi.wait(["0" * 32 + "@far", "0" * 32 + "@near"], timeout=10)
    key = multi._routes.children[1].connector().put(encode(1))
    assert multi.wait(["0" * 32 + "@far", f"{key}@near"], timeout=10) == [f"{key}@near"]
    multi.close()


def test_a_wait_costs_hardly_any_time_of_the_processor(both):
    before = time.process_time()
    with pytest.raises(DeadlineError):
        both.wait(["0" * 32 + "@a", "0" * 32 + "@b"], timeout=2)
    assert time.process_time() - before < 0.05


def test_a_batch_is_split_and_answered_in_order(decoded):  # C43
    multi = MultiConnector({"a": (LocalConnector(), Policy(1, max_size_bytes=500)), "b": LocalConnector()})
    values = [b"x" * (1000 * (number % 2)) + bytes([number]) for number in range(6)]
    keys = multi.put_batch([encode(value) for value in values], ttl=100)
    assert [key[33:] for key in keys] == ["a", "b"] * 3
    multi.evict_batch([keys[0], keys[3], keys[5][:32]])
    got = multi.get_batch([*keys, keys[1][:32]])
    assert [frames and decoded(frames) for frames in got] == [
        None, values[1], values[2], None, values[4], None, values[1],
    ]  # fmt: skip
    assert multi.exists_batch(keys) == [False, True, True, False, True, False]
    multi.clear()
    multi.close()


class Full(LocalConnector):
    """A channel that has room for one object."""

    __slots__ = ()

    def put(self, payload, **options):
        if list(self.keys()) not in ([], [payload.key]):
            raise ChannelFullError("one object is here", remedy="evict it")
        return super().put(payload, **options)


def test_what_of_a_batch_finds_no_room_goes_to_the_next(decoded):  # C20
    multi = MultiConnector({"full": Full(), "next": LocalConnector()})
    keys = multi.put_batch([encode(number) for number in range(3)])
    assert [key[33:] for key in keys] == ["full", "next", "next"]
    assert [decoded(frames) for frames in multi.get_batch(keys)] == [0, 1, 2]
    multi.clear()
    multi.close()


def test_a_swap_stays_where_the_object_is(both, decoded):  # C51
    payload = encode("one")
    key = both.put(payload, hints=B)
    assert isinstance(both, SupportsSwap)
    assert isinstance(both, SupportsWait)
    both.swap(key, encode(b"x" * 100_000, object_id=payload.object_id, revision=1))
    assert list(both.keys()) == [key]
    with pytest.raises(MissingKeyError):
        both.swap("0" * 32 + "@a", encode(1, object_id=bytes(16), revision=1))


def test_clearing_counts_what_all_channels_had(both):  # C56
    for number in range(3):
        both.put(encode(number))
        both.put(encode(number), hints=B)
    assert len(set(both.keys())) == 6
    assert both.clear() == 6
    assert list(both.keys()) == []


def test_a_reserved_key_is_fulfilled_in_its_channel(both, decoded):  # C40, C41
    object_id = new_object_id()
    key = both.reserve(object_id)
    both.fulfil(key, encode("later", object_id=object_id))
    assert decoded(both.get(key)) == "later"


def test_threads_that_open_a_channel_at_once_share_one(tmp_path):  # C7
    opened, start = [], threading.Barrier(8)

    def slowly(uri):
        time.sleep(0.02)
        opened.append(FileConnector(tmp_path))
        return opened[-1]

    multi = MultiConnector({"a": f"file://{tmp_path}"}, open_child=slowly)
    used = []

    def use():
        start.wait()
        used.append(multi._routes.children[0].connector())
        multi.put(encode(1))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, used))) == 1
    multi.close()
    for connector in opened:
        with pytest.raises(ConnectorClosedError):
            connector.get("0" * 32)


def test_allocations_go_where_a_payload_of_their_size_goes(decoded):  # C65, C66
    with MultiConnector(
        {"small": (LocalConnector(), Policy(1, max_size_bytes=500)), "large": LocalConnector()}
    ) as multi:
        for value, name in [(b"x", "small"), (b"x" * 1000, "large")]:
            whole = encode(value).tobytes()
            with multi.allocate(len(whole)) as allocation:
                allocation.buffer[:] = whole
                key = allocation.commit()
            assert key.endswith(f"@{name}")
            assert decoded(multi.get(key)) == value
        multi.clear()


def test_one_watcher_serves_the_keys_of_all_channels(both):  # C68, C69
    first, second = encode("a"), encode("b")
    called = []
    with both.watcher() as watcher:
        ready = select.poll()
        ready.register(watcher.fileno(), select.POLLIN)
        watcher.add(f"{first.key}@a", called.append)
        watcher.add(second.key, called.append)
        assert watcher.dispatch() is None
        assert (called, ready.poll(0)) == ([], [])
        key = both.put(second, hints=B)
        assert ready.poll(1000)
        watcher.dispatch()
        assert called == [second.key]
        watcher.add(key, called.append)
        assert ready.poll(0)
        watcher.discard(key)
        watcher.dispatch()
        both.put(first)
        assert ready.poll(1000)
        watcher.dispatch()
        assert called == [second.key, f"{first.key}@a"]


def test_a_wait_answers_for_each_key_of_one_object(both):  # C42
    """An object has two keys, with and without its channel."""
    payload = encode(1)
    keys = [f"{payload.key}@a", payload.key, f"{payload.key}@a"]
    timer = threading.Timer(0.1, both.put, [payload])
    timer.start()
    assert set(both.wait(keys, timeout=10)) == set(keys)
    timer.join()
    assert both.wait(keys, timeout=0) == keys
    assert both.wait([keys[0], "0" * 32 + "@b", keys[1]], timeout=0) == [keys[0], keys[1]]


def test_a_wait_finds_an_object_beside_a_channel_that_cannot_be_reached(tmp_path):  # C42
    (tmp_path / "file").touch()
    with MultiConnector({"lost": f"file://{tmp_path}/file/below", "near": LocalConnector()}) as multi:
        inner = multi._routes.children[1].connector().put(encode(1))
        assert multi.wait([inner], timeout=5) == [inner]
        with pytest.raises(ChannelUnavailableError):
            multi.wait(["0" * 32], timeout=5)
        multi._routes.children[1].connector().clear()


def test_a_forked_child_waits_for_what_its_parent_had(both, in_child):  # C8, C42
    keys = [both.put(encode(1)), both.put(encode(2), hints=B)]
    assert in_child(lambda: both.wait(keys, timeout=5)) == str(keys)


def test_it_waits_only_where_all_its_channels_can_be_watched():  # C39
    class Unwatched(LocalConnector):
        watcher = None

    with MultiConnector({"a": Unwatched(), "b": LocalConnector()}) as multi:
        assert not isinstance(multi, SupportsWait | SupportsWatch)
        with Store("multi", multi) as store:
            key = store.put(1)
            assert store.wait([key], timeout=5) == [key]
            store.clear()


def test_a_failing_callback_leaves_the_others_due(both):  # C68, C69
    keys = [both.put(encode(1)), both.put(encode(2), hints=B), both.put(encode(3))]
    called = []

    def fail(key):
        called.append(key)
        raise RuntimeError(key)

    with both.watcher() as watcher:
        for key in keys:
            watcher.add(key, fail)
        for _ in keys:
            assert select.select([watcher.fileno()], [], [], 5)[0]
            with pytest.raises(RuntimeError):
                watcher.dispatch()
        assert sorted(called) == sorted(keys)
        watcher.dispatch()


def test_a_channel_that_fails_keeps_back_no_object_of_another(tmp_path):  # C68
    disk = tmp_path / "disk"
    with MultiConnector({"memory": LocalConnector(), "disk": FileConnector(disk)}) as multi:
        called = []
        with multi.watcher() as watcher:
            watcher.add("0" * 32 + "@disk", called.append)
            payload = encode(1)
            watcher.add(f"{payload.key}@memory", called.append)
            multi._routes.children[1].connector().close()
            multi.put(payload)
            with pytest.raises(ConnectorClosedError):
                watcher.dispatch()
            assert called == [f"{payload.key}@memory"]
        multi._routes.children[0].connector().clear()


def test_a_closed_watcher_says_so(both):  # C10
    watcher = both.watcher()
    watcher.add("0" * 32, print)
    watcher.close()
    for call in (watcher.dispatch, lambda: watcher.add("0" * 32, print)):
        with pytest.raises(ConnectorClosedError):
            call()
    watcher.discard("0" * 32)
    watcher.close()
