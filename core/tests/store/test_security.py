"""Forged proxies, forged payloads and missing keys are refused with an error that says why."""

import os
import pickle

import pytest

import psk
from psk import Store, set_policy
from psk.connectors import open_connector
from psk.errors import (
    CodecRefusedError,
    InvalidReferenceError,
    PayloadError,
    ProxyResolveError,
    SignatureError,
    SigningError,
    SigningKeyMissingError,
    UnsignedError,
    UntrustedChannelError,
)
from psk.wire import Payload, Reference, encode

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


@pytest.fixture
def signed(tmp_path):
    with Store("signed", f"file://{tmp_path}/objects", signing_key="team") as store:
        yield store
        store.clear()


def cause_of(proxy):
    with pytest.raises(ProxyResolveError) as caught:
        psk.resolve(proxy)
    return caught.value.cause


def test_signed_proxies_resolve_where_the_key_is_known(signed):
    set_policy(signing="required")
    assert pickle.loads(pickle.dumps(signed.proxy([1]))) == [1]


def test_no_secret_travels_or_shows(signed):
    everything = pickle.dumps([signed, signed.proxy([1])]) + repr((signed, signed.config())).encode()
    assert KEY.encode() not in everything


def test_an_absent_key_is_named(signed, monkeypatch):
    proxy = pickle.loads(pickle.dumps(signed.proxy([1])))
    monkeypatch.setattr("psk.wire.signing._keys", {}, raising=True)
    assert isinstance(cause_of(proxy), SigningKeyMissingError)
    with pytest.raises(SigningKeyMissingError, match="team"):
        Store("other", signed.uri, signing_key="team")


def test_an_unsigned_proxy_is_refused_before_anything_is_opened(tmp_path):
    set_policy(signing="required")
    reference = Reference(f"file://{tmp_path}/never-opened", "0" * 32)
    assert isinstance(cause_of(psk.Proxy(psk.store.StoreFactory(reference))), UnsignedError)
    assert not (tmp_path / "never-opened").exists()


def test_an_unsigned_payload_is_refused_before_it_is_decoded(signed):
    connector = open_connector(signed.uri)
    key = connector.put(encode(Gadget()))
    with pytest.raises(UnsignedError):
        signed.get(key)
    connector.close()
    assert not os.path.exists(f"/tmp/psk-gadget-{os.getpid()}")


def test_an_unsigned_payload_under_a_signed_reference_is_refused(signed):
    connector = open_connector(signed.uri)
    proxy = pickle.loads(pickle.dumps(signed.proxy([1])))
    key = psk.get_key(proxy)
    connector.evict(key)
    connector.put(encode([2], object_id=bytes.fromhex(key)))
    connector.close()
    assert isinstance(cause_of(proxy), (PayloadError, UnsignedError))


def test_a_forged_reference_is_refused(signed):
    reference = psk.get_factory(signed.proxy([1])).reference
    body = bytearray(reference.to_bytes())
    body[-1] ^= 1
    forged = psk.store.restore_proxy(signed.uri, bytes(body))
    assert isinstance(cause_of(forged), SignatureError)
    moved = psk.store.restore_proxy(signed.uri + "2", reference.to_bytes())
    assert isinstance(cause_of(moved), SignatureError)


def test_a_swapped_object_is_noticed(tmp_path):
    with Store("swapped", f"file://{tmp_path}/objects") as store:
        keys = store.put_batch([[1], [2]])
        os.replace(tmp_path / "objects" / keys[0], tmp_path / "objects" / keys[1])
        with pytest.raises(PayloadError, match="holds a different object"):
            store.get(keys[1])
        store.clear()


def test_a_replaced_object_is_noticed_by_its_proxy(tmp_path):
    with Store("replaced", f"file://{tmp_path}/objects") as store:
        proxy = pickle.loads(pickle.dumps(store.proxy([1])))
        key = psk.get_key(proxy)
        store.evict(key)
        store.connector.put(encode([2], object_id=bytes.fromhex(key)))
        assert isinstance(cause_of(proxy), PayloadError)
        store.clear()


def test_a_channel_that_is_not_trusted_is_not_opened(tmp_path):
    set_policy(trusted=[f"file://{tmp_path}/mine/*"])
    for place in ("theirs", "mine/../theirs", "mine/%2e%2e/theirs"):
        proxy = psk.Proxy(psk.store.StoreFactory(Reference(f"file://{tmp_path}/{place}", "0" * 32)))
        assert isinstance(cause_of(proxy), (UntrustedChannelError, psk.errors.ConnectorConfigError))
    assert not (tmp_path / "theirs").exists()


def test_every_channel_of_several_must_be_trusted(tmp_path):
    from psk.connectors.multi import MultiConnector

    channels = {name: f"file://{tmp_path}/{name}" for name in ("mine", "theirs")}
    with Store("several", MultiConnector(channels)) as store:
        body = pickle.dumps(store.proxy([1]))
        set_policy(trusted=["multi://*", f"file://{tmp_path}/mine"])
        assert isinstance(cause_of(pickle.loads(body)), UntrustedChannelError)
        set_policy(trusted=[f"file://{tmp_path}/*"])
        assert pickle.loads(body) == [1]
        store.clear()


def test_raw_codecs_decode_no_pickle(tmp_path):
    with Store("raw", f"file://{tmp_path}/objects", codecs="raw") as store:
        assert store.get(store.put(b"x")) == b"x"
        with pytest.raises(CodecRefusedError):
            store.get(store.put([1]))
        set_policy(codecs="raw")
        assert isinstance(cause_of(pickle.loads(pickle.dumps(store.proxy([1])))), CodecRefusedError)
        store.clear()


def test_the_policy_holds_for_stores_that_are_open_already(tmp_path):
    with Store("open", f"file://{tmp_path}/objects", register=True) as store:
        body = pickle.dumps(store.proxy([1]))
        psk.resolve(pickle.loads(body))
        set_policy(codecs="raw")
        assert isinstance(cause_of(pickle.loads(body)), CodecRefusedError)
        set_policy(signing="required")
        assert isinstance(cause_of(pickle.loads(body)), UnsignedError)
        assert psk.extract(store.proxy([1], populate_target=False)) == [1]
        store.clear()


def test_the_policy_holds_for_proxies_that_found_their_store_already(tmp_path):
    with Store("open", f"file://{tmp_path}/objects") as store:
        proxy = pickle.loads(pickle.dumps(store.proxy([1])))
        psk.get_store(proxy)
        set_policy(trusted=[])
        assert isinstance(cause_of(proxy), UntrustedChannelError)
        store.clear()


def test_a_store_believes_its_own_key_only(signed):
    psk.set_signing_key("others", KEY[::-1])
    with Store("others", signed.uri, signing_key="others") as others, pytest.raises(SignatureError, match="others"):
        signed.get(others.put([1]))


def test_a_store_without_a_key_cannot_put_what_it_would_not_believe(signed):
    with Store("reader", signed.uri, signing="required") as reader:
        assert reader.get(signed.put([1])) == [1]
        with pytest.raises(SigningError, match="signing_key"):
            reader.put([1])


def test_a_signed_proxy_is_not_served_an_unsigned_object_from_the_cache(signed):
    with Store("lax", signed.uri, register=True) as lax:
        body = pickle.dumps(signed.proxy([1]))
        key = psk.get_key(pickle.loads(body))
        signed.evict(key)
        lax.connector.put(encode([2], object_id=bytes.fromhex(key)))
        assert lax.get(key) == lax.get(key) == [2]
        assert isinstance(cause_of(pickle.loads(body)), (PayloadError, UnsignedError))


def test_the_policy_is_read_from_the_environment(monkeypatch):
    monkeypatch.setenv("PSK_SIGNING", "required")
    monkeypatch.setenv("PSK_TRUSTED", "file:///a/*,local://*")
    monkeypatch.setenv("PSK_CODECS", "raw")
    monkeypatch.setattr("psk.store.trust._policy", None)
    policy = psk.store.get_policy()
    assert (policy.signing, policy.trusted, policy.codecs) == (
        "required",
        ("file:///a/*", "local://*"),
        "raw",
    )


def test_a_key_without_enforcement_is_refused(tmp_path):
    with pytest.raises(SigningError):
        Store("lax", f"file://{tmp_path}/objects", signing_key="team", signing="optional")


@pytest.mark.parametrize("signing", [None, "required"])
def test_a_store_with_a_key_refuses_unsigned_proxies_of_its_objects(tmp_path, signing):
    with Store("keyed", f"file://{tmp_path}/objects", signing_key="team", signing=signing, register=True) as store:
        key = store.put([1])
        for evict in (False, True):
            forged = Reference(store.uri, key, evict=evict)
            assert isinstance(cause_of(psk.store.restore_proxy(forged.uri, forged.to_bytes())), UnsignedError)
        assert pickle.loads(pickle.dumps(store.proxy_from_key(key, evict=True))) == [1]
        assert not store.exists(key)


@pytest.mark.parametrize("change", [str.upper, lambda scheme: scheme], ids=["scheme", "path"])
@pytest.mark.parametrize("option", ["", "?durability=host", "?timeout=600"])
def test_another_spelling_of_its_channel_leads_to_the_registered_store(signed, change, option):
    uri = change("file") + signed.uri.removeprefix("file").replace("objects", "%6Fbject%73") + option
    connector = open_connector(signed.uri)
    key = connector.put(encode(Gadget()))
    connector.close()
    proxy = psk.Proxy(psk.store.StoreFactory(Reference(uri, key)))
    with psk.store_registration(signed):
        assert psk.get_store(signed.proxy([1])) is signed
        assert isinstance(cause_of(proxy), UnsignedError)
    assert not os.path.exists(f"/tmp/psk-gadget-{os.getpid()}")


@pytest.mark.parametrize("option", ["?durability=host", "?timeout=600"])
def test_a_store_opened_by_another_spelling_never_stands_in_for_the_registered_one(signed, option):
    reference = Reference(signed.uri + option, encode([1]).key)
    with psk.store_registration(signed):
        for _ in range(3):  # the first one opens a store of its own, in which no later one must end
            assert isinstance(cause_of(psk.Proxy(psk.store.StoreFactory(reference))), UnsignedError)
            assert psk.store.registry.find_by_uri(reference.uri) is signed


def test_garbage_is_no_reference():
    for body in (b"", b"\x00", b"\x02" + bytes(40), os.urandom(64)):
        with pytest.raises(InvalidReferenceError):
            psk.store.restore_proxy("file:///tmp/x", body)


def test_a_checksum_can_be_demanded(tmp_path):
    uri = f"file://{tmp_path}/objects"
    with Store("fast", uri, verify=False) as fast, Store("strict", uri, verify=True) as strict:
        key = fast.put([1])
        assert Payload.parse(fast.connector.get(key)).checksum is None
        with pytest.raises(PayloadError, match="checksum"):
            strict.get(key)
        assert fast.get(strict.put([2])) == [2]
        fast.clear()
