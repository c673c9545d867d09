"""No password in a URI that a user gives, or that a proxy brings, is shown anywhere."""

import itertools
import logging
import pickle
import random
import string
import traceback

import pytest

import psk
from psk import Store, StoreConfig
from psk.connectors import find_connector, open_connector
from psk.credentials import masked_uri
from psk.errors import PskError
from psk.store.factory import StoreFactory, restore_proxy
from psk.wire import Reference

KEY = "0" * 32
FORMS = [
    "redis://:{secret}@host:6379",
    "redis://lab:{secret}@host/0",
    "rediss://lab:{secret}@a,b?cluster=true",
    "redis+unix://:{secret}@/tmp/redis.sock",
    "file://lab:{secret}@/scratch",
    "local://lab:{secret}@name",
    "shm://lab:{secret}@",
    "postgres://lab:{secret}@db.example.org:5432/objects",
    "redis://:p@{secret}@host",
    "redis://:p/{secret}@host",
    "redis://lab:6/{secret}@host",
    "redis://lab:6/../{secret}@host",
    "redis://:p?{secret}@host",
    "redis://:p#{secret}@host",
    "redis://lab:6?{secret}@host",
    "redis://lab:6#{secret}@host",
    "redis://lab:p/p?{secret}@host/0",
    "redis://lab:@{secret}/p@host",
    "redis://host?a=1;password={secret}",
    "redis://:p {secret}'\"@host",
    "redis://lab%3A{secret}%40host",
    "redis://host:{secret}",
    "redis://host?password={secret}",
    "redis://host?PASSWD={secret}",
    "redis://host?pass%77ord={secret}",
    "redis://host?auth=lab:{secret}",
    "s3://bucket?X-Amz-Signature={secret}",
    "file:///scratch?token={secret}",
    "local://name?secret={secret}",
    "redis://host?{secret}",
    "redis://host#{secret}",
    "multi://one?to1=redis%3A%2F%2F%3A{secret}%40host",
    "multi://one?to1=redis%3A%2F%2Fhost%3Fpassword%3D{secret}",
    "multi://one?to1=multi%3A%2F%2Ftwo%3Fto2%3Dredis%253A%252F%252F%253A{secret}%2540host",
    "redis:lab:{secret}@host",
    "lab:{secret}@host",
]
HARMLESS = [
    "file:///scratch/psk?durability=disk",
    "file:///a%20b/c@d",
    "local://name?process=123-ab",
    "redis://lab@host:6379/2?prefix=a&timeout=3.5",
    "redis://[::1]:6379,b:1?sentinel=objects",
    "multi://memory,disk?to1=file%3A%2F%2F%2Fscratch",
    "shm://",
    "results",
]


@pytest.fixture
def shown(capsys, caplog):
    """Collect what calls show of themselves: texts of errors down to their causes, and what is printed and logged."""
    caplog.set_level(logging.DEBUG)
    texts = []

    def show(call):
        try:
            texts.append(repr(call()))
        except PskError as error:
            texts.append("".join(traceback.TracebackException.from_exception(error, lookup_lines=False).format()))
            texts.append(repr(vars(error)))
            texts.append(repr(pickle.dumps(error)))

    def seen():
        found = "\n".join([*texts, *capsys.readouterr(), caplog.text])
        texts.clear()
        caplog.clear()
        return found

    show.texts = seen
    return show


def secrets(count):
    pick = random.Random(7).choices
    return ["".join(pick(string.ascii_letters + string.digits + "!$*._~-", k=12)) for _ in range(count)]


def test_a_password_in_a_uri_is_shown_nowhere(shown, scale):
    for form, secret in itertools.product(FORMS, secrets(scale("security.masked_passwords"))):
        uri = form.format(secret=secret)
        shown(lambda uri=uri: masked_uri(uri))
        for call in (open_connector, find_connector, Store.from_uri):
            shown(lambda call=call, uri=uri: call(uri))
            shown(lambda call=call, uri=uri: call(uri.encode()))
        for call in (Store, StoreConfig):
            shown(lambda call=call, uri=uri: call("named", uri))
            shown(lambda call=call, uri=uri: call("named", uri.encode()))
            shown(lambda call=call, uri=uri: call("named", "local://x", trusted=uri))
        reference = Reference(uri, KEY, wait=True)
        proxy = restore_proxy(uri, reference.to_bytes())
        factory = StoreFactory(reference)
        for call in (
            lambda reference=reference: reference,
            lambda factory=factory: factory,
            factory.resolve,
            factory.store,
            lambda proxy=proxy: proxy,
            lambda proxy=proxy: psk.resolve(proxy),
            lambda proxy=proxy: psk.get_store(proxy),
            lambda factory=factory: psk.resolve(psk.Proxy(factory)),
        ):
            shown(call)
        _resolve_where_it_is_not_trusted(shown, uri, reference)
        assert secret not in shown.texts(), form


def _resolve_where_it_is_not_trusted(shown, uri, reference):
    before = psk.set_policy(trusted=[f"{uri}*", "file:///elsewhere/*"])
    try:
        shown(StoreFactory(reference).resolve)
        with Store("limited", "local://limited", trusted=[f"{uri}?", uri]) as store:
            shown(store.config)
            found = store.get(store.put([restore_proxy(uri, reference.to_bytes())]))[0]
            shown(lambda: psk.resolve(found))
            store.clear()
    finally:
        psk.set_policy(signing=before.signing, trusted=before.trusted, codecs=before.codecs)


@pytest.mark.parametrize("uri", HARMLESS)
def test_what_is_no_secret_is_shown_as_it_is(uri):
    assert masked_uri(uri) == uri


def test_masking_takes_no_long_time():
    for text in ("redis://" + "a" * 2000 + "!", "redis://" + ":" * 2000, "x://?" + "%25" * 600, "x://" + "@:" * 1000):
        masked_uri(text)


MEANT = {
    "results": "file://{here}/results",
    "./a/b": "file://{here}/a/b",
    "file:results": "file://{here}/results",
    "file:/data/x": "file:///data/x",
    "/data/x": "file:///data/x",
    "shm": "shm://",
    "redis": "redis://",
    "redis:host": "redis://host",
}


@pytest.mark.parametrize("written", MEANT)
def test_a_path_in_the_place_of_a_uri_is_answered_with_the_uri(written, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(PskError) as caught:
        Store("x", written)
    assert MEANT[written].format(here=tmp_path) in caught.value.remedy
    assert list(tmp_path.iterdir()) == []
