"""Futures from untrusted senders are refused before a channel is opened."""

import os
import pickle

import pytest

import psk
from psk import Store, get_factory, set_policy
from psk.errors import (
    CapabilityError,
    ChannelDataError,
    CodecRefusedError,
    InvalidArgumentError,
    InvalidReferenceError,
    ProxyResolveError,
    SigningError,
    UnsignedError,
    UntrustedChannelError,
)
from psk_patterns import future
from psk_patterns.futures import restore_future
from psk_patterns.futures.state import FutureState

KEY = "0123456789abcdef0123"


class Gadget:
    def __reduce__(self):
        return os.mkdir, (f"/tmp/psk-gadget-{os.getpid()}",)


@pytest.fixture(autouse=True)
def _policy():
    psk.set_signing_key("team", KEY)
    yield
    set_policy()
    psk.store.close_opened_stores()
    assert not os.path.exists(f"/tmp/psk-gadget-{os.getpid()}")


def away(obj):
    return pickle.loads(pickle.dumps(obj))


@pytest.fixture
def signed(address):
    with Store("signed", address("file"), signing_key="team") as store:
        yield store
        store.clear()


def uses_of(made):
    return made.result, made.exception, made.done, made.running, made.cancelled, made.cancel, made.claim


@pytest.mark.parametrize("policy", [{"trusted": ["file:///elsewhere*"]}, {"signing": "required"}])
def test_a_future_of_an_untrusted_channel_opens_nothing(tmp_path, policy):
    place = tmp_path / "theirs"
    with Store("theirs", f"file://{place}") as store:
        data = pickle.dumps(future(store))
    os.rename(place, tmp_path / "moved")
    set_policy(**policy)
    made = pickle.loads(data)
    for use in (*uses_of(made), made.release, lambda: made.set_result(1), lambda: made.add_done_callback(print)):
        with pytest.raises((UntrustedChannelError, SigningError)):
            use()
    with pytest.raises(ProxyResolveError) as caught:
        len(made.proxy())
    assert isinstance(caught.value.cause, UntrustedChannelError | SigningError)
    assert not place.exists()


def test_a_future_found_in_a_limited_stores_object_is_limited(address):
    with Store("theirs", address("file"), register=True) as theirs, Store("mine", address("file"), trusted=[]) as mine:
        key = mine.put(future(theirs))
        found = mine.get(key)
        for use in uses_of(found):
            with pytest.raises(UntrustedChannelError):
                use()
        made = future(theirs)
        outer = future(mine)
        outer.set_result({"inner": made})
        with pytest.raises(UntrustedChannelError):
            outer.result()["inner"].done()
        error = ValueError(made)
        refused = future(mine)
        refused.set_exception(error)
        with pytest.raises(UntrustedChannelError):
            refused.exception().args[0].done()


def test_signed_futures_work_where_the_key_is_and_need_no_registered_store(signed):
    set_policy(signing="required")
    for end in (lambda it: it.set_result([1]), lambda it: it.set_exception(KeyError()), lambda it: it.cancel()):
        made = future(signed)
        data = pickle.dumps(made)
        assert KEY.encode() not in data
        end(pickle.loads(data))
        assert made.done()
        for key in made.keys:
            assert not signed.exists(key) or signed.stat(key).signed_by == "team"
        made.release()
    assert signed.list() == []


def test_what_nobody_signed_is_not_believed(signed):
    for planted in ("result_key", "claim_key"):
        made = future(signed)
        with Store("forger", signed.uri) as forger:
            forger.fulfil(getattr(made.state, planted), ("value", "0", Gadget()))
        copy = away(made)
        for waiting in (made, copy):
            with pytest.raises(UnsignedError):
                waiting.result(1)


def test_an_unsigned_future_is_refused_where_signatures_are_required(signed, address):
    with Store("unsigned", signed.uri) as store:
        made = away(future(store))
    with Store("signed too", signed.uri, signing_key="team", register=True), pytest.raises(UnsignedError):
        made.done()


def test_keys_of_two_channels_are_no_future(file_store, address):
    with Store("other", address("file")) as other:
        one, two = (get_factory(store.proxy_from_key(store.reserve())) for store in (file_store, other))
        with pytest.raises(InvalidReferenceError, match="one channel"):
            FutureState(one, two)
    with pytest.raises(InvalidReferenceError):
        restore_future("file:///x", one, 1.0, 1.0)
    with pytest.raises(InvalidArgumentError):
        restore_future(one, one, float("nan"), 1.0)


def test_what_is_no_future_that_travelled_is_refused(file_store):
    made = future(file_store)
    result, claim = made.state.result_factory, made.state.claim_factory
    for arguments in ((), (result,), (result, 1), ("x", claim, 1, 1)):
        with pytest.raises(InvalidReferenceError, match="not a future"):
            restore_future(*arguments)
    for times in ((), (None, 1), (1, None), ("x", 1), (1, "x"), (0.01, 1)):
        with pytest.raises(InvalidArgumentError):
            restore_future(result, claim, *times)


@pytest.mark.parametrize("planted", [Gadget, dict, lambda: ("value", 1), lambda: ("error", "0", "text"), lambda: b"x"])
def test_what_is_no_outcome_is_refused(file_store, planted):
    made = future(file_store)
    if planted is Gadget:
        set_policy(codecs="raw")
        made = away(made)
        psk.store.close_opened_stores()
    file_store.fulfil(made.key, planted())
    with pytest.raises(CodecRefusedError if planted is Gadget else ChannelDataError):
        made.result(1)


def test_what_is_no_claim_is_refused(file_store):
    made = future(file_store)
    file_store.fulfil(made.state.claim_key, "stolen")
    with pytest.raises(ChannelDataError, match="not the claim"):
        made.result(1)
    with pytest.raises(ChannelDataError, match="not the claim"):
        made.claim()


def test_a_store_that_decodes_no_pickle_keeps_no_future(address):
    with Store("raw", address("file"), codecs="raw") as store, pytest.raises(CapabilityError, match="raw"):
        future(store)
