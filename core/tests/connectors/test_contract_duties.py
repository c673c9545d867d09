"""Does each channel keep the duties of docs/contract.md that every connector has (C1 to C38)?"""

import asyncio
import gc
import math
import pickle
import threading
import time

import numpy as np
import pytest

from psk.connectors import Connector, Frames, format_uri, open_connector, validate_key
from psk.errors import (
    ConnectorClosedError,
    ConnectorConfigError,
    DurabilityError,
    InvalidArgumentError,
    InvalidKeyError,
    KeyExistsError,
)
from psk.wire import Payload, decode, encode, new_object_id

MISSING = "0" * 32
HOSTILE_KEYS = (
    "",
    "..",
    "../" + MISSING,
    "/etc/passwd",
    MISSING + "\0",
    MISSING + "\n",
    MISSING.upper().replace("0", "A"),
    "0" * 31,
    "0" * 33,
    "0" * 4096,
    "é" * 32,
    "\uff10" * 32,
    "\ud800" * 32,
    MISSING + "@",
    MISSING + "@/etc",
    MISSING + "@" + "x" * 64,
    b"0" * 32,
    None,
    7,
    (MISSING,),
    [MISSING],
)


def test_a_connector_is_recognised_by_its_methods(connector):
    assert isinstance(connector, Connector)


@pytest.mark.parametrize("size", [0, 1, 1000, 70_000, 5_000_000])
def test_what_was_put_is_what_is_got(connector, decoded, size):  # C13, C21
    value = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    key = connector.put(encode(value))
    assert decoded(connector.get(key)) == value
    assert connector.get(key, size=7) is not None  # C25
    assert connector.exists(key)  # C27


def test_a_payload_of_many_frames_comes_back(connector, decoded):  # C21
    arrays = [np.arange(count, dtype=np.int32) for count in (2_000, 3_001, 500_000)]
    key = connector.put(encode(arrays))
    assert all(map(np.array_equal, decoded(connector.get(key)), arrays))


def test_more_frames_than_one_system_call_takes(connector, decoded):  # C21
    values = [np.full(1024, number) for number in range(3000)]
    key = connector.put(encode(values))
    assert np.array_equal(np.array(decoded(connector.get(key))), np.array(values))


def test_a_payload_without_frames_comes_back(connector):  # C21
    payload = Payload.build("none", [])
    assert Payload.parse(connector.get(connector.put(payload))).frame_sizes == ()


def test_the_key_begins_with_the_object_id(connector):  # C1, C2
    payload = encode("value")
    key = connector.put(payload)
    assert key.startswith(payload.object_id.hex())
    assert validate_key(key) == key


def test_a_missing_object_is_none(connector):  # C22, C27
    assert connector.get(MISSING) is None
    assert not connector.exists(MISSING)


def test_evict_removes_and_may_be_repeated(connector):  # C28
    key = connector.put(encode(1))
    for _ in range(3):
        connector.evict(key)
        assert connector.get(key) is None
        assert not connector.exists(key)


@pytest.mark.parametrize("method", ["get", "exists", "evict"])
@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=lambda key: ascii(key)[:30])
def test_a_hostile_key_is_refused_shortly(connector, method, key):  # C3
    with pytest.raises(InvalidKeyError) as caught:
        getattr(connector, method)(key)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("timeout", [-1, math.nan, math.inf, "1", object()])
def test_a_senseless_timeout_is_refused(connector, timeout):  # C6
    for call in (
        lambda: connector.put(encode(1), timeout=timeout),
        lambda: connector.get(MISSING, timeout=timeout),
        lambda: connector.exists(MISSING, timeout=timeout),
        lambda: connector.evict(MISSING, timeout=timeout),
    ):
        with pytest.raises(InvalidArgumentError):
            call()


def test_the_same_payload_twice_is_one_put(connector, decoded):  # C15
    payload = encode([1, 2])
    assert connector.put(payload) == connector.put(payload)
    assert decoded(connector.get(payload.key)) == [1, 2]


@pytest.mark.parametrize("checksum", [True, False])
@pytest.mark.parametrize("size", [1, 3_000, 300_000])
def test_another_payload_with_the_same_id_is_refused(connector, decoded, size, checksum):  # C15, C16
    object_id = new_object_id()
    first, second, longer = (
        encode([text, text.encode()], object_id=object_id, checksum=checksum)
        for text in ("a" * size + "1", "a" * size + "2", "a" * size + "33")
    )
    key = connector.put(first)
    for other in (second, longer):
        with pytest.raises(KeyExistsError):
            connector.put(other)
    assert connector.put(first) == key
    assert decoded(connector.get(key))[0] == "a" * size + "1"


def test_of_two_writers_at_the_same_instant_one_wins(connector, decoded):  # C16
    for _ in range(20):
        object_id = new_object_id()
        start, won, refused = threading.Barrier(4), [], []

        def write(text, object_id=object_id, start=start, won=won, refused=refused):
            payload = encode(text, object_id=object_id)
            start.wait()
            try:
                connector.put(payload)
                won.append(text)
            except KeyExistsError:
                refused.append(text)

        threads = [threading.Thread(target=write, args=(f"text {number % 2}",)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        # Writers of the same payload all succeed: theirs is one put.
        assert len(won) == len(refused) == 2
        assert {decoded(connector.get(object_id.hex()))} == set(won)


@pytest.mark.parametrize("size", [100, 100_000, 5_000_000])
def test_changes_after_the_put_are_not_seen(connector, decoded, size):  # C17
    array = np.zeros(size, np.uint8)
    key = connector.put(encode(array, checksum=False))
    array[:] = 1
    assert not decoded(connector.get(key)).any()


@pytest.mark.parametrize("size", [100, 100_000, 5_000_000])
def test_readers_do_not_see_each_others_changes(connector, decoded, size):  # C23
    key = connector.put(encode(np.zeros(size, np.uint8)))
    first, second = decoded(connector.get(key)), decoded(connector.get(key))
    first[:] = 1
    assert not second.any()
    assert not decoded(connector.get(key)).any()


def test_shared_buffers_are_read_only(connector):  # C23
    key = connector.put(encode(np.zeros(100_000, np.uint8)))
    first, second = connector.get(key), connector.get(key)
    for one, other in zip(first.buffers, second.buffers, strict=True):
        assert one is not other or memoryview(one).readonly
    assert isinstance(first, Frames)


def test_get_beside_evict_is_whole_or_nothing(connector, decoded):  # C29
    stop, seen = threading.Event(), []
    payloads = [encode(np.full(20_000, number)) for number in range(50)]

    def read():
        while not stop.is_set():
            for payload in payloads:
                frames = connector.get(payload.key)
                if frames is not None:
                    array = decoded(frames)
                    seen.append(bool((array == array[0]).all()))

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(5):
        for payload in payloads:
            connector.put(payload)
        for payload in payloads:
            connector.evict(payload.key)
    stop.set()
    reader.join()
    assert all(seen)


def test_close_deletes_nothing_and_may_be_repeated(connector, reopened, decoded):  # C34
    key = connector.put(encode("kept"))
    connector.close()
    connector.close()
    assert decoded(reopened.get(key)) == "kept"


def test_a_closed_connector_says_so(connector):  # C10
    connector.close()
    for call in (
        lambda: connector.put(encode(1)),
        lambda: connector.get(MISSING),
        lambda: connector.exists(MISSING),
        lambda: connector.evict(MISSING),
        lambda: list(connector.keys()),
        connector.clear,
        lambda: connector.reserve(new_object_id()),
        lambda: connector.renew(MISSING, 1),
        lambda: connector.take(MISSING, "claim"),
        lambda: connector.get_range(MISSING, 0, 1),
    ):
        with pytest.raises(ConnectorClosedError):
            call()
    assert isinstance(connector, Connector)
    assert repr(connector)


def test_a_collected_connector_releases_what_it_opened(address):  # C34; the leak check looks on
    opened = open_connector(address)
    opened.put(encode(1), ttl=1000)
    opened.clear()
    del opened
    gc.collect()


def test_the_configuration_rebuilds_the_channel(connector, decoded):  # C35, C36, C37
    key = connector.put(encode("here"))
    config = connector.config()
    assert all(isinstance(value, str | int | float | bool) for value in config.values())
    copies = (
        type(connector).from_config(config),
        type(connector).from_config({name: str(value) for name, value in config.items()}),
        open_connector(format_uri(config)),
        pickle.loads(pickle.dumps(connector)),
    )
    for copy in copies:
        assert copy.config() == config
        assert decoded(copy.get(key)) == "here"
        copy.close()


def test_an_unknown_option_lists_the_known(address):  # C36
    with pytest.raises(ConnectorConfigError, match=r"no option 'colour'.*found: authority, "):
        open_connector(f"{address}{'&' if '?' in address else '?'}colour=blue")


def test_durabilities_are_declared(connector):  # C30, C32
    assert connector.durabilities[0] == "volatile"
    assert "replicated" not in connector.durabilities


def test_it_works_inside_an_event_loop(connector, decoded):  # C9
    async def main():
        return decoded(connector.get(connector.put(encode("loop"))))

    assert asyncio.run(main()) == "loop"


def test_many_threads_use_one_instance(connector, decoded):  # C7
    failures = []

    def work(number):
        try:
            for turn in range(50):
                key = connector.put(encode((number, turn)))
                if decoded(connector.get(key)) != (number, turn) or not connector.exists(key):
                    failures.append(key)
                connector.evict(key)
        except Exception as error:  # noqa: BLE001  reported below
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []


def test_closing_beside_other_threads_ends_their_calls(connector, decoded):  # C7, C10
    key = connector.put(encode(np.arange(1000)))
    outcomes = []

    def read():
        try:
            while True:
                assert decoded(connector.get(key)).sum() == 499_500
        except ConnectorClosedError:
            outcomes.append("closed")

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.05)
    connector.close()
    for thread in threads:
        thread.join()
    assert outcomes == ["closed"] * 4


def test_a_durability_that_nobody_keeps_is_refused(tmp_path):  # C32
    with pytest.raises(DurabilityError, match="replicated"):
        open_connector(f"file://{tmp_path}/x?durability=replicated")
    with pytest.raises(ConnectorConfigError, match="no durability"):
        open_connector(f"file://{tmp_path}/x?durability=eternal")
    assert list(tmp_path.iterdir()) == []  # C11


def test_a_connector_may_keep_what_cannot_change(connector):  # C17: sharing an immutable object is no aliasing
    value = b"constant" * 100_000
    frames = connector.get(connector.put(encode(value)))
    assert decode(Payload.parse(frames)) == value
