"""Every public error says what failed, what exists and what to do."""

import inspect
import os
import pickle

import pytest

import psk
from psk import Proxy, Store, StoreConfig, errors
from psk.connectors import open_connector
from psk.proxy import ProxyLocker
from psk.wire import Payload, Reference, encode, find_codec, find_signing_key

KEY = "0123456789abcdef0123456789abcdef"


def error_of(call):
    with pytest.raises(errors.PskError) as caught:
        call()
    return caught.value


def with_store(use, uri="local://error-messages", **options):
    def call():
        with Store("messages", uri, **options) as store:
            try:
                return use(store)
            finally:
                store.clear()

    return call


def closed_store():
    store = Store("messages", "local://error-messages")
    store.close()
    store.put(1)


def closed_connector():
    connector = open_connector("local://error-messages")
    connector.close()
    connector.get(KEY)


def taken_name():
    with Store("taken", "local://error-messages", register=True):
        Store("taken", "local://error-messages", register=True)


def resolve_missing():
    with Store("messages", "local://error-messages") as store:
        psk.resolve(store.proxy_from_key(KEY))


def conflicting_update(store):
    key = store.put(1)
    store.connector.swap(key, encode(2, object_id=bytes.fromhex(key), revision=5))


#: Error class -> (how a user meets it, words that its message must hold: what failed, what exists, what to do).
MEETINGS = {
    errors.DeadlineError: (with_store(lambda store: store.wait(KEY, timeout=0.01)), [KEY, "timeout"]),
    errors.SerializationError: (with_store(lambda store: store.put(n for n in ())), ["generator"]),
    errors.CodecError: (lambda: find_codec("arrow"), ["arrow", "pickle", "register_codec"]),
    errors.CodecNotPortableError: (
        with_store(pickle.dumps, serializer=bytes),
        ["serializer", "register_codec"],
    ),
    errors.CodecRefusedError: (
        with_store(lambda store: store.get(store.put([1])), codecs="raw"),
        ["pickle", "raw"],
    ),
    errors.PayloadError: (lambda: Payload.parse(b"\x00" * 100), ["not a payload", "found"]),
    errors.InvalidReferenceError: (
        lambda: Reference.from_bytes("local://x", b"\x09" * 40),
        ["version 9", "version is 1"],
    ),
    errors.SigningKeyMissingError: (
        lambda: find_signing_key("absent"),
        ["absent", "PSK_SIGNING_KEY_ABSENT", "set_signing_key"],
    ),
    errors.UnknownConnectorError: (
        lambda: Store("s", "ucx://h"),
        ["ucx", "install the distribution", "file", "local"],
    ),
    errors.ConnectorConfigError: (lambda: Store("s", "file:///tmp/x?durable=1"), ["durable", "durability"]),
    errors.ConnectorClosedError: (closed_connector, ["closed", "open"]),
    errors.DurabilityError: (
        lambda: Store("s", f"file:///dev/shm/psk-{os.getpid()}?durability=disk"),
        ["disk", "host"],
    ),
    errors.InvalidKeyError: (with_store(lambda store: store.get("../x")), ["../x", "32"]),
    errors.RevisionConflictError: (with_store(conflicting_update), ["revision", "0"]),
    errors.StoreExistsError: (taken_name, ["taken", "unregister"]),
    errors.StoreClosedError: (closed_store, ["messages", "closed", "from_config"]),
    errors.StoreConfigError: (
        lambda: StoreConfig("s", "local://x", cach_size=1),
        ["cach_size", "cache_size"],
    ),
    errors.PatternMissingError: (with_store(lambda store: store.future()), ["future", "psk_patterns"]),
    errors.NonProxiableTypeError: (
        with_store(lambda store: store.proxy(None)),
        ["None", "skip_nonproxiable"],
    ),
    errors.ProxyResolveError: (lambda: psk.resolve(Proxy(lambda: 1 / 0)), ["ZeroDivisionError"]),
    errors.ProxyResolveMissingKeyError: (
        resolve_missing,
        ["messages", "local://error-messages", KEY, "evicted"],
    ),
    errors.InvalidFactoryError: (lambda: Proxy(3), ["int", "callable"]),
    errors.NotAProxyError: (lambda: psk.resolve(3), ["int", "prox"]),
    errors.InvalidArgumentError: (with_store(lambda store: store.put(1, ttl=-1)), ["ttl", "-1"]),
    errors.ProxyStoreFactoryError: (lambda: psk.get_key(Proxy(list)), ["factory", "Store.proxy"]),
    errors.ProxyLockedError: (lambda: ProxyLocker(Proxy(list))._proxy, ["unlock"]),
}
#: Shown where what they need can be had; or never raised themselves, only their subclasses.
ELSEWHERE = {
    errors.PskError: "a base class",
    errors.ShortageError: "test_shortages.py",
    errors.SigningError: "test_security.py",
    errors.SignatureError: "test_security.py",
    errors.UnsignedError: "test_security.py",
    errors.UntrustedChannelError: "test_security.py",
    errors.ConnectorError: "a base class",
    errors.StoreError: "a base class",
    errors.ProxyError: "a base class",
    errors.MissingKeyError: "a base class",
    errors.ForkedConnectorError: "tests/connectors",
    errors.ChannelUnavailableError: "tests/connectors",
    errors.ChannelFullError: "tests/connectors",
    errors.ShmFullError: "tests/connectors",
    errors.ChannelDataError: "tests/connectors",
    errors.KeyExistsError: "tests/connectors",
    errors.CapabilityError: "test_put_and_get.py",
    errors.PluginError: "tests/plugins",
    errors.UnknownPluginError: "tests/plugins",
    errors.DuplicatePluginError: "tests/plugins",
    errors.IncompatiblePluginError: "tests/plugins",
    errors.PluginNotAllowedError: "tests/plugins",
    errors.BrokenPluginError: "tests/plugins",
    errors.PluginDependencyError: "tests/plugins",
    errors.UsageError: "tests/cli",
}


def public_errors():
    return {error for _, error in inspect.getmembers(errors, inspect.isclass) if issubclass(error, errors.PskError)}


def test_every_error_is_met_here_or_elsewhere():
    assert public_errors() == MEETINGS.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("kind", MEETINGS, ids=lambda kind: kind.__name__)
def test_a_message_says_what_failed_what_exists_and_what_to_do(kind):
    meet, words = MEETINGS[kind]
    error = error_of(meet)
    assert type(error) is kind
    for word in words:
        assert word in str(error)
    assert error.remedy
    assert "\n" not in str(error)
    assert len(str(error)) < 500


@pytest.mark.parametrize(
    "kind", sorted(public_errors(), key=lambda kind: kind.__name__), ids=lambda kind: kind.__name__
)
def test_an_error_travels_between_processes(kind):
    error = kind("what failed", found=["this", 1], remedy="do that")
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind
    assert str(again) == str(error) == "what failed; do that (found: this, 1)"
