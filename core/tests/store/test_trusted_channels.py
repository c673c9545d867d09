"""Proxies found in a store's objects open only the channels that the store trusts."""

import asyncio
import copy
import pickle
import threading
from contextlib import ExitStack

import pytest

import psk
from psk import Store, StoreConfig, get_or_create_store, set_policy
from psk.connectors.multi import MultiConnector
from psk.errors import ProxyResolveError, StoreConfigError, StoreExistsError, UntrustedChannelError


@pytest.fixture(autouse=True)
def _policy():
    yield
    set_policy()
    psk.store.close_opened_stores()


@pytest.fixture
def places(tmp_path):
    """URIs of channels by name: a directory each."""
    return {name: f"file://{tmp_path}/{name}" for name in ("mine", "friends", "theirs", "others")}


@pytest.fixture
def opened(places):
    """Open a store over a named channel, until the test ends."""
    with ExitStack() as stack:
        yield lambda place, **options: stack.enter_context(Store(f"{place}{id(options)}", places[place], **options))


def away(store, obj):
    """Put an object and give its proxy as one that comes from elsewhere."""
    return pickle.loads(pickle.dumps(store.proxy(obj)))


def is_refused(proxy):
    try:
        psk.resolve(proxy)
    except ProxyResolveError as error:
        return isinstance(error.cause, UntrustedChannelError)
    return False


def test_a_found_proxy_opens_only_trusted_channels_and_the_stores_own(opened, places):
    store = opened("mine", trusted=[places["friends"] + "*"])
    found = [away(opened(place), [place]) for place in ("mine", "friends", "theirs")]
    psk.store.close_opened_stores()
    mine, friends, theirs = store.get(store.put(found))
    assert mine == ["mine"]
    assert friends == ["friends"]
    assert is_refused(theirs)
    assert is_refused(theirs), "once refused is not for ever trusted"
    with pytest.raises(UntrustedChannelError, match=f"{store.name}.*theirs"):
        psk.get_store(theirs)


def test_a_refused_channel_is_not_opened(opened, places, tmp_path):
    store = opened("mine", trusted=[])
    reference = psk.wire.Reference(places["others"], "0" * 32)
    key = store.put(psk.Proxy(psk.store.StoreFactory(reference)))
    assert is_refused(store.get(key))
    assert not (tmp_path / "others").exists()


@pytest.mark.parametrize("way", ["get", "batch", "async", "deserializer", "cached", "proxy", "background"])
def test_every_way_to_an_object_limits_its_proxies(opened, way):
    store = opened("mine", trusted=[], register=True)
    key = store.put([away(opened("theirs"), [1])])
    ways = {
        "get": lambda: store.get(key),
        "batch": lambda: store.get_batch([key])[0],
        "async": lambda: asyncio.run(store.aget(key)),
        "deserializer": lambda: store.get(key, deserializer=pickle.loads),
        "cached": lambda: [store.get(key), store.get(key)][1],
        "proxy": lambda: psk.extract(pickle.loads(pickle.dumps(store.proxy_from_key(key)))),
        "background": lambda: asyncio.run(psk.aresolve(store.proxy_from_key(key))),
    }
    assert is_refused(ways[way]()[0])


def test_what_is_found_through_a_trusted_channel_is_limited_too(opened, places):
    deepest = away(opened("others"), [1])
    middle = away(opened("friends", register=True), {"next": deepest, "back": away(opened("mine"), [2])})
    limited = opened("mine", trusted=[places["friends"]])
    (found,) = limited.get(limited.put([middle]))
    assert is_refused(found["next"])
    assert found["back"] == [2]
    assert psk.extract(middle)["next"] == [1], "nobody limits what was not found in a limited store"


def test_limits_add_up_along_the_way(opened, places):
    either = {"theirs": away(opened("theirs"), [1]), "others": away(opened("others"), [2])}
    opened("friends", trusted=[places["others"]], register=True)
    store = opened("mine", trusted=[places["friends"], places["theirs"]])
    found = psk.extract(store.get(store.put(away(opened("friends"), either))))
    assert is_refused(found["theirs"])
    assert is_refused(found["others"])


def test_a_long_way_through_the_same_stores_adds_nothing(opened):
    store = opened("mine", trusted=[], register=True)
    proxy = away(store, "end")
    for _ in range(50):
        proxy = away(store, [proxy])
    while psk.extract(proxy) != "end":
        (proxy,) = psk.extract(proxy)
        assert len(psk.get_factory(proxy)._limits) == 1


def test_objects_kept_for_all_do_not_lend_their_trust(opened, places):
    sharing = opened("friends", cache="objects", register=True)
    key = sharing.put([away(opened("theirs"), [1])])
    assert sharing.get(key)[0] == [1]
    store = opened("mine", trusted=[places["friends"]])
    found = store.get(store.put(sharing.proxy_from_key(key)))
    assert is_refused(found[0])
    fresh = sharing.put([away(opened("theirs"), [2])])
    found = store.get(store.put(sharing.proxy_from_key(fresh)))
    assert is_refused(found[0])
    assert sharing.get(fresh)[0] == [2], "nor does a limit stay where it does not belong"


def test_each_of_several_channels_must_be_trusted(opened, places):
    with Store("several", MultiConnector({name: places[name] for name in ("mine", "theirs")})) as several:
        proxy = away(several, [1])
        some, all_of_them = (opened("mine", trusted=trusted) for trusted in (["multi://*"], [places["theirs"]]))
        assert is_refused(some.get(some.put([proxy]))[0])
        assert all_of_them.get(all_of_them.put([proxy])) == [[1]], "its own channel is one of them"
        with Store("own", several.uri, trusted=[]) as own:
            assert own.get(own.put([proxy])) == [[1]]


def test_copies_keep_the_limit_and_pickles_leave_it_behind(opened):
    store = opened("mine", trusted=[])
    (found,) = store.get(store.put([away(opened("theirs"), [1])]))
    factory = psk.get_factory(found)
    for made in (copy.copy(found), copy.deepcopy(found), copy.deepcopy([found])[0]):
        assert is_refused(made)
    for made in (copy.copy(factory), copy.deepcopy(factory)):
        assert is_refused(psk.Proxy(made))
    assert pickle.loads(pickle.dumps(found)) == [1]
    assert pickle.loads(pickle.dumps(factory))() == [1]


class Eager:
    """Uses what it contains while it is decoded."""

    def __init__(self, proxy):
        self.proxy = proxy

    def __setstate__(self, state):
        self.proxy = state["proxy"]
        self.refused = is_refused(self.proxy)


def test_a_proxy_that_is_used_while_it_is_decoded_is_limited(opened):
    store = opened("mine", trusted=[])
    assert store.get(store.put(Eager(away(opened("theirs"), [1])))).refused


class Fetching:
    """Fetches another object of another store while it is decoded."""

    def __init__(self, key):
        self.key = key

    def __setstate__(self, state):
        (self.found,) = psk.get_store("while decoding").get(state["key"])


def test_what_is_fetched_while_an_object_is_decoded_is_limited_too(opened, places):
    with Store("while decoding", places["friends"], trusted=["local://*"], register=True) as friends:
        key = friends.put([away(opened("mine"), [1])])
        store = opened("others", trusted=[places["mine"]])
        assert is_refused(friends.get(key)[0])
        assert is_refused(store.get(store.put(Fetching(key))).found)
        friends.clear()
    with Store("while decoding", places["friends"], trusted=["file://*"], register=True) as friends:
        key = friends.put([away(opened("theirs"), [1])])
        assert friends.get(key)[0] == [1]
        assert is_refused(store.get(store.put(Fetching(key))).found)


class Slow:
    """Takes as long to decode as a test wants."""

    reached, go_on = threading.Event(), threading.Event()

    def __reduce__(self):
        return _wait, ()


def _wait():
    Slow.reached.set()
    Slow.go_on.wait(30)


def test_other_threads_are_not_limited_meanwhile(opened):
    store = opened("mine", trusted=[])
    key = store.put(Slow())
    thread = threading.Thread(target=store.get, args=(key,))
    thread.start()
    try:
        assert Slow.reached.wait(30)
        assert away(opened("theirs"), [1]) == [1]
    finally:
        Slow.go_on.set()
        thread.join()


def test_a_failed_decoding_leaves_no_limit_in_force(opened):
    store = opened("mine", trusted=[])
    with pytest.raises(psk.errors.PayloadError):
        store.get(store.put([1]), deserializer=lambda _: 1 / 0)
    assert away(opened("theirs"), [1]) == [1]


def test_the_rules_of_the_process_hold_besides(opened, places):
    store = opened("mine", trusted=["*"])
    key = store.put([away(opened("theirs"), [1])])
    set_policy(trusted=[places["mine"]])
    assert is_refused(store.get(key)[0])


def test_the_option_travels_and_belongs_to_a_stores_identity(tmp_path, places):
    config = StoreConfig("limited", places["mine"], trusted=[places["theirs"], "local://*"])
    config.write_toml(tmp_path / "store.toml")
    assert StoreConfig.from_toml(tmp_path / "store.toml") == config == pickle.loads(pickle.dumps(config))
    assert config == StoreConfig("limited", places["mine"], trusted=("local://*", places["theirs"], "local://*"))
    assert StoreConfig.from_dict(config.as_dict()) == config
    assert StoreConfig("limited", places["mine"]) != StoreConfig("limited", places["mine"], trusted=[]) != config
    with get_or_create_store(config) as store:
        assert pickle.loads(pickle.dumps(store)) is store
        with pytest.raises(StoreExistsError):
            get_or_create_store(StoreConfig("limited", places["mine"], trusted=[]))
        assert store.config().trusted == tuple(sorted(["local://*", places["theirs"]]))


@pytest.mark.parametrize("trusted", ["file:///x", 3, [None], [b"file:///x"], [""], {"file:///x": 1}.items(), [["x"]]])
def test_what_is_no_list_of_patterns_is_refused(trusted):
    with pytest.raises(StoreConfigError, match="trusted"):
        StoreConfig("s", "local://x", trusted=trusted)
    with pytest.raises(StoreConfigError, match="trusted"):
        set_policy(trusted=trusted)
